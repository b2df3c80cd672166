"""Intervals below each other, as data: everything in percent of the plot."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from components.evaluate.report.axes import Axis, Tick, padded


@final
@dataclass(frozen=True, kw_only=True)
class Interval:
    """A number that is known to lie between two others, in its own unit; `limit` is where a line stands."""

    label: str
    low: float
    at: float
    high: float
    limit: float | None
    shown: str
    range: str


@final
@dataclass(frozen=True, kw_only=True)
class Whisker:
    """An interval in percent of the plot. `tone` is up, down, or even where it holds 0."""

    label: str
    low: float
    at: float
    high: float
    limit: float | None
    shown: str
    range: str
    tone: str


@final
@dataclass(frozen=True, kw_only=True)
class Forest:
    """Intervals below each other; `zero` is where no difference stands."""

    title: str
    x_title: str
    x_ticks: Sequence[Tick]
    zero: float
    rows: Sequence[Whisker]
    note: str = ""


def forest(title: str, x_title: str, rows: Sequence[Interval], *, note: str = "") -> Forest:
    """Intervals below each other over a common axis that holds 0; at least one."""
    ends = [end for row in rows for end in (row.low, row.high, row.limit) if end is not None]
    axis = Axis(*padded(min(0.0, *ends), max(0.0, *ends), 0.05))
    return Forest(
        title=title,
        x_title=x_title,
        x_ticks=axis.ticks(4),
        zero=axis.at(0.0),
        rows=[
            Whisker(
                label=row.label,
                low=axis.at(row.low),
                at=axis.at(row.at),
                high=axis.at(row.high),
                limit=None if row.limit is None else axis.at(row.limit),
                shown=row.shown,
                range=row.range,
                tone="up" if row.low > 0 else "down" if row.high < 0 else "even",
            )
            for row in rows
        ],
        note=note,
    )
