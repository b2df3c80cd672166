"""What the page of a classification shows beside what all pages show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from components.evaluate.classification.report import comparison, curves, data, metrics
from components.evaluate.classification.report.findings import Findings
from components.evaluate.classification.report.metrics import MetricRow
from components.evaluate.classification.report.slices import SliceBoard, slice_board
from components.evaluate.report.charts import Chart
from components.evaluate.report.document import Table
from components.evaluate.report.forest import Forest


@final
@dataclass(frozen=True, kw_only=True)
class Sections:
    """The content of `sections.html.j2`."""

    metrics: Sequence[MetricRow]
    classes: Table
    curves: Sequence[Chart]
    forests: Sequence[Forest]
    slices: SliceBoard | None
    fields: Table
    data_tables: Sequence[Table]


def build_sections(findings: Findings) -> Sections:
    """Findings turned into words, numbers and charts."""
    roc = curves.roc(findings)
    return Sections(
        metrics=metrics.metric_rows(findings),
        classes=metrics.class_table(findings),
        curves=[*([roc] if roc else []), curves.calibration(findings)],
        forests=list(comparison.forests(findings)),
        slices=slice_board(findings),
        fields=data.field_table(findings),
        data_tables=list(data.data_tables(findings)),
    )
