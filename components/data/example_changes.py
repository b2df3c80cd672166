"""How a delivery of examples differs from an earlier one, and what it looks like by itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import polars as pl

from components.core.columns import VALUE
from components.data.changes import Counts, chance_distance, distance, gap
from components.data.examples import Examples

_NUM_BUCKETS: Final = 10  # of a numeric field
_NUM_VALUES: Final = 100  # of another field: the rest is compared as one


@final
@dataclass(frozen=True)
class FieldChange:
    """One field against an earlier delivery.

    Attributes:
        now_V, before_V: how often its values occur in both: of a numeric field its buckets, the tenths of the
            earlier delivery; else the values that were the most frequent there, and all others as one.
            The last one is the missing value.
        new_values: share of the examples with a value that was not there before: of a numeric field, one
            beyond its least or greatest.
    """

    name: str
    now_V: Counts
    before_V: Counts
    new_values: float

    @property
    def drift(self) -> float:
        """Jensen–Shannon distance, 0 to 1."""
        return distance(self.now_V, self.before_V)


@final
@dataclass(frozen=True)
class ExampleChanges:
    """A delivery against an earlier one.

    Attributes:
        label: distance of the classes' shares; a class has the same name in both.
        label_by_chance: the distance that two random samples of these sizes show, on average, when nothing
            has changed.
        fields: those of the same name and kind in both; `uncompared` are the others.
        gap_s: None where one of them has no timestamps.
    """

    volume: float
    label: float
    label_by_chance: float
    fields: tuple[FieldChange, ...]
    uncompared: tuple[str, ...]
    gap_s: float | None

    @property
    def drifted(self) -> FieldChange | None:
        """The field that has drifted most; None where none is compared."""
        return max(self.fields, key=lambda field: field.drift, default=None)

    @property
    def newest(self) -> FieldChange | None:
        """The field with the largest share of new values; None where none is compared."""
        return max(self.fields, key=lambda field: field.new_values, default=None)


def compare(now: Examples, before: Examples, generator: np.random.Generator) -> ExampleChanges:
    """Changes from `before` to `now`."""
    names = sorted(now.classes.keys() | before.classes.keys())
    now_C, before_C = (np.array([side.classes.get(name, 0) for name in names]) for side in (now, before))
    fields = tuple(_compare_fields(now, before))
    compared = {field.name for field in fields}
    return ExampleChanges(
        volume=len(now) / len(before),
        label=distance(now_C, before_C),
        label_by_chance=chance_distance(now_C, before_C, generator),
        fields=fields,
        uncompared=tuple(sorted((now.kinds.keys() | before.kinds.keys()) - compared)),
        gap_s=gap(now, before),
    )


def rarest_class(now: Examples) -> tuple[str, float]:
    """The class with the fewest examples, and its share."""
    name = min(now.classes, key=now.classes.__getitem__)
    return name, now.classes[name] / len(now)


def emptiest_field(now: Examples) -> tuple[str, float]:
    """The field that is missing most often, and in which share of the examples."""
    name = max(now.nulls, key=now.nulls.__getitem__)
    return name, now.nulls[name] / len(now)


def _compare_fields(now: Examples, before: Examples) -> Iterator[FieldChange]:
    for name, kind in now.kinds.items():
        if before.kinds.get(name) == kind:
            compared = _compare_numbers if kind == "numeric" else _compare_values
            yield compared(name, now, before)


def _compare_numbers(name: str, now: Examples, before: Examples) -> FieldChange:
    now_N, before_N = now.numbers(name), before.numbers(name)
    edges = np.unique(np.quantile(before_N, np.arange(1, _NUM_BUCKETS) / _NUM_BUCKETS))
    now_V, before_V = (
        np.append(
            np.bincount(np.searchsorted(edges, number_N, side="right"), minlength=len(edges) + 1),
            side.nulls[name],
        )
        for number_N, side in ((now_N, now), (before_N, before))
    )
    beyond = np.count_nonzero((now_N < before_N.min()) | (now_N > before_N.max()))
    return FieldChange(name, now_V, before_V, beyond / len(now))


def _compare_values(name: str, now: Examples, before: Examples) -> FieldChange:
    here, there = now.values(name), before.values(name)
    both = here.join(there, on=VALUE, how="full", coalesce=True, suffix="_before").fill_null(0)
    both = both.sort("count_before", VALUE, descending=[True, False])
    now_V, before_V = (both[count].to_numpy().astype(np.int64) for count in ("count", "count_before"))
    new = both.filter(pl.col("count_before") == 0)[VALUE]
    return FieldChange(
        name,
        np.append(_pooled(now_V), now.nulls[name]),
        np.append(_pooled(before_V), before.nulls[name]),
        now.num_with(name, new) / len(now) if len(new) else 0.0,
    )


def _pooled(count_V: Counts) -> Counts:
    """The first ones, and the sum of the others."""
    return np.append(count_V[:_NUM_VALUES], count_V[_NUM_VALUES:].sum())
