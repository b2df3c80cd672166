"""Labelled examples from files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import polars as pl

from components.core.columns import LABEL, TIMESTAMP
from components.core.recipe.examples import TABLES, DeliveredHistory, ExamplesSource, Label, history_of
from components.data.formats.raw import Wanted
from components.data.normalize import Checks, Meaning, normalize, number, timestamp
from components.ingest import fields
from components.ingest.batch import Batch
from components.ingest.fields import as_text, behaviours, field_value
from components.ingest.reading import given, read_raw
from components.ingest.side_tables import read_tables

_SHOWN: Final = 40  # characters of a label in a reason
_NUM_CLASSES: Final = 10  # in a reason


def read(source: ExamplesSource, inputs: Mapping[str, Path], seed: int) -> Iterator[Batch]:
    """Every row of every file, in the order of the parts and then of the files' names, each with what the
    side tables know of it. Beside some rows only those tables are held in memory.

    Args:
        inputs: `source`, or one directory for each part, and one for each side table.
        seed: not needed; every source takes one.

    Raises:
        InvalidInputError: a file cannot be read; names it. Or a key stands twice in a side table.
    """
    places = given(inputs, source.locations())
    tables = read_tables(source, places)
    parts = {name: place for name, place in places.items() if name not in TABLES}
    for part, name, raw in read_raw(source.format, parts, _wanted(source)):
        rows = normalize(raw, _meaning_of(source, raw.frame.schema), name)
        frame, joined = rows.frame, {}
        for table, lookup in tables.items():
            frame, joined[table] = lookup.join(frame)
        part_of = None if source.parts is None else part
        yield Batch(name, part_of, replace(rows, frame=frame), joined=joined)


def _wanted(source: ExamplesSource) -> dict[str, Wanted]:
    """Name in the examples' table → the file's column."""
    found = {LABEL: Wanted(source.label.column, "single"), **fields.wanted(source.fields)}
    if source.timestamp is not None:
        found[TIMESTAMP] = Wanted(source.timestamp, "number")
    if isinstance(source.history, DeliveredHistory):
        for name, ref in source.history.columns.items():
            found[history_of(name)] = Wanted(ref, "single", source.history.separator)
    return found


def _meaning_of(source: ExamplesSource, columns: Mapping[str, pl.DataType]) -> Meaning:
    delivered: Mapping[str, tuple[pl.Expr, Checks]] = {}
    if isinstance(source.history, DeliveredHistory):
        kinds = {name: columns[name] for name in source.histories()}
        delivered = behaviours(kinds, source.history, source)

    def meaning(column: str, kind: pl.DataType) -> tuple[pl.Expr, Checks]:
        if column == LABEL:
            return _label(pl.col(column), kind, source.label)
        if column == TIMESTAMP:
            return timestamp(pl.col(column), kind, source.timestamp_unit)
        if column in delivered:
            return delivered[column]
        value, checks = field_value(column, kind, source.fields, source)
        return value, [*checks, (value.is_null(), "is missing")] if column in source.required else checks

    return meaning


def _label(raw: pl.Expr, kind: pl.DataType, label: Label) -> tuple[pl.Expr, Checks]:
    """The place of a label's class."""
    text = as_text(raw, kind)
    empty = text.is_null() | (text == "")
    if label.thresholds is not None:
        return _class_of_number(raw, kind, label, empty)
    place = _place(text, label.classes)
    told = ", ".join(label.classes[:_NUM_CLASSES]) + " …" * (len(label.classes) > _NUM_CLASSES)
    other = text.str.slice(0, _SHOWN) + pl.lit(f" is none of {told}")
    return place, [(place.is_null() & empty, "is empty"), (place.is_null(), other)]


def _class_of_number(raw: pl.Expr, kind: pl.DataType, label: Label, empty: pl.Expr) -> tuple[pl.Expr, Checks]:
    """How many thresholds it reaches."""
    value, checks = number(raw, kind)
    place = pl.sum_horizontal((value >= threshold).cast(pl.Int32) for threshold in label.thresholds or ())
    told = value.cast(pl.String)
    outside: Checks = []
    if (low := label.range.min) is not None:
        outside.append((value < low, told + pl.lit(f" lies below {low:g}")))
    if (high := label.range.max) is not None:
        outside.append((value > high, told + pl.lit(f" lies above {high:g}")))
    return place, [(empty, "is empty"), *checks, *outside]


def _place(text: pl.Expr, classes: Sequence[str]) -> pl.Expr:
    """The place of the class that is the same text, or else the same number written otherwise."""
    number_C = pl.Series(classes).cast(pl.Float64, strict=False)
    by_number = {value: place for place, value in reversed(list(enumerate(number_C))) if value is not None}
    exact = text.replace_strict(classes, range(len(classes)), default=None, return_dtype=pl.Int32)
    if not by_number:
        return exact
    alike = text.cast(pl.Float64, strict=False).replace_strict(by_number, default=None, return_dtype=pl.Int32)
    return pl.coalesce(exact, alike)
