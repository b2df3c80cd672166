"""One key with several values: the deliveries of a backfill, in their order."""

import re

from components.core.errors import InvalidInputError

_RANGE = re.compile(r"(\d+)\.\.(\d+)")


def read_each(text: str) -> tuple[str, list[str]]:
    """`period=00..05` or `period=00,03..05` as the key and its values.

    A range counts up; its numbers are as wide as the first one: `08..11` is 08, 09, 10, 11.

    Raises:
        InvalidInputError: there is no key or no value, a value comes twice, or a range counts down.
    """
    key, _, listed = (part.strip() for part in text.partition("="))
    values = [value for part in listed.split(",") for value in _values(part.strip(), text)]
    if not key or not all(values):
        raise InvalidInputError(f"--each {text!r}: need key=values, such as period=00..05 or period=00,01,05")
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise InvalidInputError(f"--each {text!r}: {', '.join(twice)} comes twice")
    return key, values


def _values(part: str, text: str) -> list[str]:
    bounds = _RANGE.fullmatch(part)
    if bounds is None:
        return [part]
    first, last = bounds.groups()
    values = [f"{number:0{len(first)}}" for number in range(int(first), int(last) + 1)]
    if not values:
        raise InvalidInputError(f"--each {text!r}: {part} counts down; the order is from old to new")
    return values
