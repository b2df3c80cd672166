"""A delivery's labelled examples, counted without holding them in memory."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self, final

import numpy as np
import numpy.typing as npt
import polars as pl

from components.core.columns import LABEL, PART, ROW, VALUE
from components.core.recipe.examples import LISTS, FieldKind
from components.data.document import read_document
from components.data.parquet import TableFile
from components.data.profile import count_parts, told_times
from components.data.scanning import count_values, num_repeated, scan_table, time_range

Numbers = npt.NDArray[np.float64]


@final
class Examples:
    """At least one example: label, a column for each field, perhaps timestamp and part. Nothing is held in
    memory but a column of numbers, or what stands once for each value of a field.

    Attributes:
        classes: class → its examples.
        kinds: field → what it holds.
    """

    def __init__(self, table: Path, classes: Mapping[str, int], kinds: Mapping[str, FieldKind]) -> None:
        self.file, self.rows = TableFile(table), scan_table(table)
        self.classes, self.kinds = classes, kinds

    @classmethod
    def count(cls, table: Path, classes: Sequence[str], kinds: Mapping[str, FieldKind]) -> Self:
        """Those of a table in which a label is a place in `classes`."""
        found = dict(count_values(scan_table(table), LABEL).iter_rows())
        return cls(table, {name: found.get(place, 0) for place, name in enumerate(classes)}, kinds)

    @classmethod
    def read(cls, artifact: Path) -> Self:
        """Those of a finished artifact, which need not be of today's classes and fields."""
        profile = read_document(artifact / "profile.json")
        kinds = {name: field["kind"] for name, field in profile["fields"].items()}
        return cls(artifact / "interactions.parquet", profile["classes"], kinds)

    def __len__(self) -> int:
        return self.file.num_rows

    @cached_property
    def times(self) -> tuple[int, int] | None:
        """Of the first and the last example, in seconds since 1970; None without timestamps."""
        return time_range(self.rows)

    @cached_property
    def nulls(self) -> dict[str, int]:
        """Field → the examples in which it is missing."""
        counted = self.rows.select(pl.col(list(self.kinds)).null_count()).collect(engine="streaming")
        return dict(zip(self.kinds, counted.row(0), strict=True))

    def values(self, field: str) -> pl.DataFrame:
        """Each `value` of a field that is not numeric in their order, and as `count` how often it occurs;
        without null."""
        rows = self.rows.select(pl.col(field).alias(VALUE)).drop_nulls()
        if self.kinds[field] in LISTS:
            rows = rows.explode(VALUE).drop_nulls()
        return count_values(rows, VALUE)

    def numbers(self, field: str) -> Numbers:
        """The values of a numeric field that are there."""
        parts = [pl.Series(part[field]).drop_nulls().to_numpy() for part in self.file.parts([field])]
        return np.concatenate(parts)

    def num_with(self, field: str, values: pl.Series) -> int:
        """In how many examples a field that is not numeric has one of some values."""
        among = pl.col(field).is_in(values.implode())
        count = 0
        for part in self.file.parts([field]):
            rows = pl.DataFrame(part).with_row_index(ROW)
            if self.kinds[field] in LISTS:
                rows = rows.explode(field)
            count += rows.filter(among)[ROW].n_unique()
        return count


def describe(examples: Examples) -> dict[str, Any]:
    """Counts and distributions of a table of examples, which is read a column at a time."""
    return {
        "examples": len(examples),
        "classes": examples.classes,
        "fields": {name: _describe_field(examples, name) for name in examples.kinds},
        "duplicates": num_repeated(
            examples.file, [name for name in examples.file.schema.names if name != PART]
        ),
        "parts": count_parts(examples.rows),
        "time_range": told_times(examples.rows),
    }


def _describe_field(examples: Examples, name: str) -> dict[str, Any]:
    """Of a field with several values `distinct` counts the single ones."""
    kind = examples.kinds[name]
    found = {"kind": kind, "nulls": examples.nulls[name]}
    if kind != "numeric":
        return {**found, "distinct": len(examples.values(name))}
    values = examples.numbers(name)
    if not len(values):
        return {**found, "distinct": 0}
    return {
        **found,
        "distinct": len(np.unique(values)),
        "min": float(values.min()),
        "max": float(values.max()),
        "mean": float((values / len(values)).sum()),  # a sum of the largest numbers would be infinite
    }
