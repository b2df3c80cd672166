"""Slices field by field: how many examples, and how well each model does on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, final

from components.core.verdict import ExampleSlice
from components.evaluate.classification.report.findings import Findings
from components.evaluate.classification.report.wording import metric_name
from components.evaluate.report.axes import Axis, Tick, padded
from components.evaluate.report.wording import or_dash, signed
from components.metrics.direction import gain

_FOLDED: Final = 8  # fields beyond so many are folded


@final
@dataclass(frozen=True, kw_only=True)
class SliceRow:
    """One value of a field: its share of the examples; where the models stand, in percent of the lane; what
    both metrics are, and the lead over the champion in the one that decides."""

    value: str
    guarded: bool
    examples: int
    percent: float
    at: float | None
    champion_at: float | None
    deciding: str
    second: str
    lead: str
    range: str
    tone: str


@final
@dataclass(frozen=True, kw_only=True)
class FieldSlices:
    """The slices of one field."""

    field: str
    rows: Sequence[SliceRow]


@final
@dataclass(frozen=True, kw_only=True)
class SliceBoard:
    """All slices over one axis, that of the metric that decides; `overall` is its value over all examples.
    `folded` are the fields that are shown on demand."""

    metric: str
    second: str
    overall: float
    ticks: Sequence[Tick]
    shown: Sequence[FieldSlices]
    folded: Sequence[FieldSlices]


def slice_board(findings: Findings) -> SliceBoard | None:
    """None where there are no slices."""
    verdict, deciding = findings.verdict, findings.metric
    if not verdict.slices:
        return None
    second = "logloss" if deciding == "auc" else "auc"
    judged = [found for found in verdict.slices if found.metric == deciding]
    others = [found for found in verdict.slices if found.metric == second]
    values = (value for found in judged for value in (found.challenger, found.champion))
    ends = [verdict.challenger, *(value for value in values if value is not None)]
    axis = Axis(*padded(min(ends), max(ends), 0.04))
    guarded = {(rail.field, rail.value) for rail in findings.params.promotion.guardrails}
    rows = [
        (found.field, _row(found, other, axis, verdict.num_examples, (found.field, found.value) in guarded))
        for found, other in zip(judged, others, strict=True)
    ]
    fields = [
        FieldSlices(field=field, rows=[row for _, row in group])
        for field, group in groupby(rows, key=lambda entry: entry[0])
    ]
    return SliceBoard(
        metric=metric_name(deciding),
        second=metric_name(second),
        overall=axis.at(verdict.challenger),
        ticks=axis.ticks(3),
        shown=fields[:_FOLDED],
        folded=fields[_FOLDED:],
    )


def _row(found: ExampleSlice, other: ExampleSlice, axis: Axis, total: int, guarded: bool) -> SliceRow:
    lead = span = tone = ""
    if found.difference is not None and found.low is not None and found.high is not None:
        ends = (found.low, found.difference, found.high)
        low, at, high = sorted(gain(found.metric, end) for end in ends)
        lead, span = signed(at), f"{signed(low)} to {signed(high)}"
        tone = "up" if low > 0 else "down" if high < 0 else ""
    return SliceRow(
        value=found.value,
        guarded=guarded,
        examples=found.examples,
        percent=round(100 * found.examples / total, 2),
        at=None if found.challenger is None else axis.at(found.challenger),
        champion_at=None if found.champion is None else axis.at(found.champion),
        deciding=or_dash(found.challenger),
        second=or_dash(other.challenger),
        lead=lead,
        range=span,
        tone=tone,
    )
