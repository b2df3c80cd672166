"""One JSON object a line."""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.json

from components.core.columns import ITEM_ID, RATING, TIMESTAMP, USER_ID
from components.core.errors import InvalidInputError
from components.core.recipe.source import Columns, JsonLinesFormat
from components.data.formats.lines import read_blocks
from components.data.formats.raw import RawBatch, Rejected, mapped

_ID_TYPES = {str, int, type(None)}
_Row = tuple[int, dict[str, Any]]


def read(format: JsonLinesFormat, path: Path, name: str, columns: Columns) -> Iterator[RawBatch]:  # noqa: A002
    """Rows of a JSON Lines file; lines that hold no object are rejected.

    Raises:
        InvalidInputError: a column stands in no row of the first block, or the file is not readable text.
    """
    wanted = mapped(columns)
    numbered = {target: ref for target, ref in wanted.items() if isinstance(ref, int)}
    if numbered:
        raise InvalidInputError(f"{name}: columns: got the positions {numbered}, need names of keys")
    keys = {target: str(ref) for target, ref in wanted.items()}
    for number, text in read_blocks(path, name):
        yield _uniform(number, text, keys) or _any(number, text, keys, name)


def _uniform(number: int, text: str, keys: Mapping[str, str]) -> RawBatch | None:
    """A block in which every line is an object with values of the same types as its first: Arrow parses
    it several times as fast as Python. None for any other."""
    first = _parse(text.partition("\n")[0], keys)
    if not isinstance(first, dict):
        return None
    types = {key: _arrow_type(target, first.get(key)) for target, key in keys.items()}
    if not all(types.values()):
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
    frame = pl.DataFrame({target: pl.Series(table[key]) for target, key in keys.items()})
    lines = pl.int_range(number, number + len(frame), eager=True)
    return RawBatch(frame, lines, _Content(text, number, lines))


def _arrow_type(target: str, value: Any) -> pa.DataType | None:
    if isinstance(value, str):
        return pa.string()
    if target in {USER_ID, ITEM_ID}:
        return pa.int64() if type(value) is int else None
    return pa.float64() if target in {RATING, TIMESTAMP} and type(value) in {int, float} else None


def _any(number: int, text: str, keys: Mapping[str, str], name: str) -> RawBatch:
    """Any block, line by line."""
    kept: list[_Row] = []
    rejected: list[Rejected] = []
    for line, content in enumerate(text.split("\n"), start=number):
        row = _parse(content, keys)
        if isinstance(row, str):
            rejected.append(Rejected(line, row, content))
        elif row is not None:
            kept.append((line, row))
    if number == 1 and kept:
        _require(set(keys.values()), kept, name)
    frame = pl.DataFrame(
        {target: [_text(target, row.get(key)) for _, row in kept] for target, key in keys.items()},
        schema=dict.fromkeys(keys, pl.String),
    )
    lines = pl.Series([line for line, _ in kept], dtype=pl.Int64)
    return RawBatch(frame, lines, _Content(text, number, lines), rejected)


class _Content:
    def __init__(self, text: str, first: int, lines: pl.Series) -> None:
        self._text, self._first, self._lines = text, first, lines

    def __call__(self, positions: Sequence[int]) -> list[str]:
        texts = self._text.split("\n")
        return [texts[line - self._first] for line in self._lines[list(positions)]]


def _parse(text: str, keys: Mapping[str, str]) -> dict[str, Any] | str | None:
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
    for target in (USER_ID, ITEM_ID):
        if type(row.get(keys[target])) not in _ID_TYPES:
            return f"{target} is neither text nor an integer"
    return row


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


def _text(target: str, value: Any) -> str | None:
    """A value as text; None for what cannot stand in its column."""
    if value is None or isinstance(value, str):
        return value
    if target in {USER_ID, ITEM_ID}:
        return str(value)
    if target in {RATING, TIMESTAMP}:
        return str(value) if type(value) in {int, float} else None
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
