"""How a stream was followed: what was searched, where it began, and how well it went over time."""

from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa

from components.core.columns import BYTES, INTERACTIONS, MEAN_SIZE
from components.evaluate.classification.report import Findings
from components.evaluate.report.charts import Chart, Points, line_chart
from components.evaluate.report.course import Course

_X: Final = "interactions"
_BEGAN: Final = {
    "champion": "went on from the champion's state",
    "search": "went on from the search's state",
    "policy": "began with the sizes and the networks of another search",
    "none": "began with nothing",
}
_SIDES: Final = {"user": "users", "item": "items"}


def course(findings: Findings) -> Course:
    """What the page shows of it."""
    return Course(
        search_tables=(),
        architecture=None,
        search_summary=_searched(findings),
        search=list(_sizes(findings)),
        start_summary=_began(findings.training),
        start_tables=(),
        curves=list(_measures(findings)),
    )


def _searched(findings: Findings) -> str:
    policy = findings.policy
    if not findings.trajectory.num_rows:
        if policy.patch:
            return "How sizes are decided comes from another search, whose policy was taken as it is."
        return "Nothing was searched: all embeddings have the size that the recipe says."
    told = ", ".join(
        f"{sum(counts.values()):,} {_SIDES[side]}" for side, counts in policy.decision["sizes"].items()
    )
    return (
        f"While {policy.decision['interactions']:,} interactions before the tail went by, {policy.kind} "
        f"found the sizes of {told}, and went on doing so in the tail."
    )


def _began(training: dict[str, Any]) -> str:
    return (
        f"Training {_BEGAN[training['began']['from']]} and followed {training['interactions']:,} "
        "interactions; the model is the state at their end."
    )


def _along(findings: Findings, name: str) -> Points:
    """A column of the search and then of the retraining, along the whole stream."""
    before = _points(findings.trajectory, name, 0.0)
    return [*before, *_points(findings.history, name, before[-1][0] if before else 0.0)]


def _measures(findings: Findings) -> Iterator[Chart]:
    tail = findings.preparation["sizes"]["train"]
    note = "Of each stretch of the stream, before it was learned from. Line: where the tail begins."
    loss = "mse" if "mse" in findings.history.column_names else "logloss"
    for name, title in (("accuracy", "Accuracy"), (loss, findings.wording.metric_name(loss))):
        yield line_chart(f"{title} over time", _X, {"": _along(findings, name)}, rule=tail, note=note)


def _sizes(findings: Findings) -> Iterator[Chart]:
    """How large embeddings were on average, and what they took."""
    for prefix, title, scale in (
        (MEAN_SIZE, "Mean size of an embedding", 1.0),
        (BYTES, "Memory of the embeddings, MiB", 2.0**-20),
    ):
        series = {
            plural: [(x, scale * y) for x, y in _along(findings, prefix + side)]
            for side, plural in _SIDES.items()
        }
        yield line_chart(title, _X, series)


def _points(table: pa.Table, name: str, first: float) -> list[tuple[float, float]]:
    if name not in table.column_names:
        return []
    pairs = zip(table[INTERACTIONS].to_pylist(), table[name].to_pylist(), strict=True)
    return [(first + x, y) for x, y in pairs]
