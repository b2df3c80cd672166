"""One JSON object a line."""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.json

from components.core.errors import InvalidInputError
from components.core.recipe.source import JsonLinesFormat
from components.data.formats.lines import read_blocks
from components.data.formats.raw import RawBatch, Rejected, Wanted

_NUM_FIRST: Final = 32  # lines that say of which types a block's values are
_LARGE: Final = 2**63  # beyond it a whole number is written as a float
_ID_TYPES: Final = {str, int, type(None)}
_Row = tuple[int, dict[str, Any]]


def read(
    format: JsonLinesFormat,  # noqa: A002
    path: Path,
    name: str,
    wanted: Mapping[str, Wanted],
) -> Iterator[RawBatch]:
    """Rows of a JSON Lines file; lines that hold no object are rejected, and objects with values that a
    column does not hold.

    Raises:
        InvalidInputError: a column stands in no row of the first block, or the file is not readable text.
    """
    numbered = {target: column.ref for target, column in wanted.items() if isinstance(column.ref, int)}
    if numbered:
        raise InvalidInputError(f"{name}: columns: got the positions {numbered}, need names of keys")
    for number, text in read_blocks(path, name):
        yield _uniform(number, text, wanted) or _any(number, text, wanted, name)


def _uniform(number: int, text: str, wanted: Mapping[str, Wanted]) -> RawBatch | None:
    """A block in which every line is an object with values of the same types as its first: Arrow parses
    it several times as fast as Python. None for any other."""
    types = _arrow_types([_parse(line) for line in islice(io.StringIO(text), _NUM_FIRST)], wanted)
    if types is None:
        return None
    options = pa.json.ParseOptions(
        explicit_schema=pa.schema(list(types.items())), unexpected_field_behavior="ignore"
    )
    data = text.encode()
    try:
        table = pa.json.read_json(io.BytesIO(data), pa.json.ReadOptions(block_size=len(data) + 1), options)
    except pa.ArrowInvalid:
        return None
    if table.num_rows != text.count("\n") + 1:
        return None
    frame = pl.DataFrame({target: pl.Series(table[str(column.ref)]) for target, column in wanted.items()})
    lines = pl.int_range(number, number + len(frame), eager=True)
    return RawBatch(frame, lines, _Content(text, number, lines))


def _arrow_types(
    rows: Sequence[dict[str, Any] | str | None], wanted: Mapping[str, Wanted]
) -> dict[str, pa.DataType] | None:
    """The type of each key's values, by the first that is there; None where they have none in common."""
    found: dict[str, pa.DataType] = {}
    for column in wanted.values():
        key = str(column.ref)
        there = [row[key] for row in rows if isinstance(row, dict) and row.get(key) is not None]
        kind = _arrow_type(there[0], column) if there else None
        if kind is None or found.setdefault(key, kind) != kind:
            return None
    return found


def _arrow_type(value: Any, column: Wanted) -> pa.DataType | None:
    if isinstance(value, str):
        return pa.string()
    if isinstance(value, list) and column.separator is not None:
        return pa.list_(pa.string())
    if column.holds == "number":
        return pa.float64() if type(value) in {int, float} else None
    return pa.int64() if type(value) is int else None


def _any(number: int, text: str, wanted: Mapping[str, Wanted], name: str) -> RawBatch:
    """Any block, line by line."""
    kept: list[_Row] = []
    rejected: list[Rejected] = []
    for line, content in enumerate(text.split("\n"), start=number):
        row = _parse(content)
        if isinstance(row, dict):
            row = _refusal(row, wanted) or row
        if isinstance(row, str):
            rejected.append(Rejected(line, row, content))
        elif row is not None:
            kept.append((line, row))
    if number == 1 and kept:
        _require({str(column.ref) for column in wanted.values()}, kept, name)
    frame = pl.DataFrame(
        [
            _series(target, [row.get(str(column.ref)) for _, row in kept], column)
            for target, column in wanted.items()
        ]
    )
    lines = pl.Series([line for line, _ in kept], dtype=pl.Int64)
    return RawBatch(frame, lines, _Content(text, number, lines), rejected)


class _Content:
    def __init__(self, text: str, first: int, lines: pl.Series) -> None:
        self._text, self._first, self._lines = text, first, lines

    def __call__(self, positions: Sequence[int]) -> list[str]:
        texts = self._text.split("\n")
        return [texts[line - self._first] for line in self._lines[list(positions)]]


def _parse(text: str) -> dict[str, Any] | str | None:
    """The object on a line, or why there is none; None for an empty line."""
    if not text.strip():
        return None
    try:
        row = json.loads(text)
        if "\\u" in text:
            json.dumps(row, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (json.JSONDecodeError, RecursionError, UnicodeEncodeError):
        return "is not JSON"
    return row if isinstance(row, dict) else "is not a JSON object"


def _refusal(row: Mapping[str, Any], wanted: Mapping[str, Wanted]) -> str | None:
    """Which value is not what its column holds, if one is not."""
    for target, column in wanted.items():
        value = row.get(str(column.ref))
        if column.holds == "id" and type(value) not in _ID_TYPES:
            return f"{target} is neither text nor an integer"
        if column.holds == "single":
            several = value if column.separator is not None and isinstance(value, list) else [value]
            if any(isinstance(one, list | dict) for one in several):
                return f"{target} holds what is nested"
    return None


def _require(keys: set[str], rows: Sequence[_Row], name: str) -> None:
    found: set[str] = set()
    for _, row in rows:
        found |= row.keys()
        if keys <= found:
            return
    missing = ", ".join(map(repr, sorted(keys - found)))
    raise InvalidInputError(
        f"{name}: columns: no row has {missing}; the keys are {', '.join(map(repr, sorted(found)))}"
    )


def _series(target: str, values: Sequence[Any], column: Wanted) -> pl.Series:
    """Values as text; as lists of text where one of them is a list."""
    if column.separator is None or not any(isinstance(value, list) for value in values):
        return pl.Series(target, [_text(value, column) for value in values], pl.String)
    lists = [_list(value, column) for value in values]
    return pl.Series(target, lists, pl.List(pl.String))


def _list(value: Any, column: Wanted) -> list[str | None] | None:
    if value is None:
        return None
    several = value.split(column.separator) if isinstance(value, str) else value
    return [_text(one, column) for one in (several if isinstance(several, list) else [several])]


def _text(value: Any, column: Wanted) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if column.holds == "single" and isinstance(value, float) and value.is_integer() and abs(value) < _LARGE:
        value = int(value)  # 5.0 is the value 5
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
