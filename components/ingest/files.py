"""Interactions from files."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from components.core import columns
from components.core.columns import ITEM_ID, POSITION, RATING, TIMESTAMP, USER_ID
from components.core.errors import InvalidInputError
from components.core.recipe.source import Columns, FilesSource
from components.data.formats.raw import Wanted
from components.data.normalize import TEXT, Checks, Meaning, normalize, number, timestamp
from components.ingest.batch import Batch
from components.ingest.reading import given, read_raw

_RESERVED = {
    USER_ID, ITEM_ID, RATING, TIMESTAMP, POSITION, columns.PART,
    columns.FILE, columns.LINE, columns.REASON, columns.USER, columns.ITEM,
}  # fmt: skip


def read(source: FilesSource, inputs: Mapping[str, Path], seed: int) -> Iterator[Batch]:
    """Every row of every file, in the order of the parts and then of the files' names.

    Args:
        inputs: `source`, or one directory for each part.
        seed: not needed; every source takes one.

    Raises:
        InvalidInputError: a file cannot be read; names it.
    """
    taken = sorted(_RESERVED & source.columns.features.keys())
    if taken:
        raise InvalidInputError(f"source.columns.features: got {taken}, need other names: these are taken")
    places, meaning = given(inputs, source.locations()), meaning_of(source)
    for part, name, raw in read_raw(source.format, places, wanted(source.columns, ordered=source.ordered)):
        yield Batch(name, None if source.parts is None else part, normalize(raw, meaning, name))


def wanted(columns: Columns, *, ordered: bool = False) -> dict[str, Wanted]:
    """Name in the interactions table → the file's column, for every column that is asked for."""
    found = {USER_ID: Wanted(columns.user, "id"), ITEM_ID: Wanted(columns.item, "id")}
    for name, ref in ((RATING, columns.rating), (TIMESTAMP, columns.timestamp)):
        if ref is not None:
            found[name] = Wanted(ref, "number")
    if ordered:
        found[POSITION] = Wanted(POSITION, "number")
    return found | {name: Wanted(ref, "any") for name, ref in sorted(columns.features.items())}


def meaning_of(source: FilesSource) -> Meaning:
    """What the columns of a source's interactions hold."""

    def meaning(column: str, kind: pl.DataType) -> tuple[pl.Expr, Checks]:
        if column in {USER_ID, ITEM_ID}:
            return _id(pl.col(column), kind, source)
        if column == RATING:
            return number(pl.col(column), kind)
        if column == TIMESTAMP:
            return timestamp(pl.col(column), kind, source.timestamp_unit)
        if column == POSITION:
            return pl.col(column), []
        if kind.is_nested():
            raise TypeError("single values")
        return pl.col(column).cast(pl.String), []

    return meaning


def _id(raw: pl.Expr, kind: pl.DataType, source: FilesSource) -> tuple[pl.Expr, Checks]:
    if kind not in TEXT and not kind.is_integer():
        raise TypeError("text or integers")
    text = raw.cast(pl.String)
    empty = (text.is_null() | (text.str.strip_chars() == ""), "is empty")
    if source.ids == "integer":
        value = raw.cast(pl.Int64, strict=False)
        return value, [empty, (value.is_null(), "is not an integer")]
    limit = source.max_id_length
    return text, [
        empty,
        (text.str.contains("\n", literal=True), "holds a line break; is a quote never closed?"),
        (text.str.len_chars() > limit, f"is longer than {limit} characters"),
    ]
