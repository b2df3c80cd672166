"""One JSON object a line."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from components.core.columns import ITEM_ID, RATING, TIMESTAMP, USER_ID
from components.core.errors import InvalidInputError
from components.core.recipe.source import Columns, JsonLinesFormat
from components.data.formats.lines import read_lines
from components.data.formats.raw import RawBatch, Rejected, mapped

_ID_TYPES = {str, int, type(None)}


def read(format: JsonLinesFormat, path: Path, name: str, columns: Columns) -> Iterator[RawBatch]:  # noqa: A002
    """Rows of a JSON Lines file; lines that hold no object are rejected.

    Raises:
        InvalidInputError: a column stands in no row of the first batch, or the file is not readable text.
    """
    wanted = mapped(columns)
    numbered = {target: ref for target, ref in wanted.items() if isinstance(ref, int)}
    if numbered:
        raise InvalidInputError(f"{name}: columns: got the positions {numbered}, need names of keys")
    for number, lines in read_lines(path, name):
        kept: list[tuple[int, dict[str, Any]]] = []
        rejected: list[Rejected] = []
        for line, text in enumerate(lines, start=number):
            row = _parse(text, columns)
            if isinstance(row, str):
                rejected.append(Rejected(line, row, text))
            elif row is not None:
                kept.append((line, row))
        if number == 1 and kept:
            _require({str(ref) for ref in wanted.values()}, [row for _, row in kept], name)
        frame = pl.DataFrame(
            {target: [_text(target, row.get(str(ref))) for _, row in kept] for target, ref in wanted.items()},
            schema=dict.fromkeys(wanted, pl.String),
        )
        at = [line for line, _ in kept]
        yield RawBatch(frame, pl.Series(at, dtype=pl.Int64), _Content(number, lines, at), rejected)


class _Content:
    def __init__(self, first: int, lines: list[str], at: list[int]) -> None:
        self._first, self._lines, self._at = first, lines, at

    def __call__(self, positions: Sequence[int]) -> list[str]:
        return [self._lines[self._at[position] - self._first] for position in positions]


def _parse(text: str, columns: Columns) -> dict[str, Any] | str | None:
    """The object on a line, or why there is none; None for an empty line."""
    if not text.strip():
        return None
    try:
        row = json.loads(text)
        if "\\u" in text:
            json.dumps(row, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (json.JSONDecodeError, RecursionError, UnicodeEncodeError):
        return "is not JSON"
    if not isinstance(row, dict):
        return "is not a JSON object"
    for target, ref in ((USER_ID, columns.user), (ITEM_ID, columns.item)):
        if type(row.get(str(ref))) not in _ID_TYPES:
            return f"{target} is neither text nor an integer"
    return row


def _require(keys: set[str], rows: Sequence[dict[str, Any]], name: str) -> None:
    found: set[str] = set()
    for row in rows:
        found |= row.keys()
        if keys <= found:
            return
    missing = ", ".join(map(repr, sorted(keys - found)))
    raise InvalidInputError(
        f"{name}: columns: no row has {missing}; the keys are {', '.join(map(repr, sorted(found)))}"
    )


def _text(target: str, value: Any) -> str | None:
    """A value as text; None for what cannot stand in its column."""
    if value is None or isinstance(value, str):
        return value
    if target in {USER_ID, ITEM_ID}:
        return str(value)
    if target in {RATING, TIMESTAMP}:
        return str(value) if type(value) in {int, float} else None
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
