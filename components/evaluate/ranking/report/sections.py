"""What the page of a ranking shows beside what all pages show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from components.evaluate.ranking.report import comparison, data, decision
from components.evaluate.ranking.report.decision import MetricRow
from components.evaluate.ranking.report.findings import Findings
from components.evaluate.report.charts import Chart
from components.evaluate.report.document import Table
from components.evaluate.report.forest import Forest
from components.evaluate.report.shares import Share


@final
@dataclass(frozen=True, kw_only=True)
class Sections:
    """The content of `sections.html.j2`."""

    metrics: Sequence[MetricRow]
    masked: str
    distribution: Chart
    against: tuple[Chart, Sequence[Share]] | None
    forests: Sequence[Forest]
    slices: Table
    slice_notes: Sequence[tuple[str, str]]
    beyond_accuracy: Table
    sampled: Table | None
    data_charts: Sequence[Chart]
    data_tables: Sequence[Table]


def build_sections(findings: Findings) -> Sections:
    """Findings turned into words, numbers and charts."""
    return Sections(
        metrics=decision.metric_rows(findings),
        masked={"train": "train", "train_valid": "train and validation"}[findings.params.evaluation.mask],
        distribution=decision.distribution(findings),
        against=decision.against_champion(findings),
        forests=list(comparison.forests(findings)),
        slices=comparison.slice_table(findings),
        slice_notes=comparison.slice_notes(findings),
        beyond_accuracy=comparison.beyond_accuracy_table(findings),
        sampled=comparison.sampled_table(findings),
        data_charts=list(data.data_charts(findings)),
        data_tables=list(data.data_tables(findings)),
    )
