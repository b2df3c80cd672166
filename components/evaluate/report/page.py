"""Everything that the report shows, in its order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from components.evaluate.report import comparison, data, decision, training
from components.evaluate.report.charts import Chart, Forest
from components.evaluate.report.checks import Checks, checks
from components.evaluate.report.decision import Fact, MetricRow
from components.evaluate.report.document import Table
from components.evaluate.report.findings import Findings
from components.evaluate.report.shares import Share


@final
@dataclass(frozen=True, kw_only=True)
class Page:
    """The template's content. `outcome` is promote, keep or refuse."""

    model: str
    outcome: str
    headline: str
    reasons: Sequence[str]
    facts: Sequence[Fact]
    metrics: Sequence[MetricRow]
    masked: str
    distribution: Chart
    against: tuple[Chart, Sequence[Share]] | None
    forests: Sequence[Forest]
    slices: Table
    slice_notes: Sequence[tuple[str, str]]
    beyond_accuracy: Table
    checks: Checks
    search_summary: str
    search: Sequence[Chart]
    start_summary: str
    start_tables: Sequence[Table]
    curves: Sequence[Chart]
    parts: Sequence[Share]
    data_charts: Sequence[Chart]
    data_tables: Sequence[Table]
    settings: Sequence[Table]
    lineage: Mapping[str, str]


def build_page(findings: Findings) -> Page:
    """Findings turned into words, numbers and charts."""
    verdict = findings.verdict
    return Page(
        model=findings.params.model,
        outcome=decision.outcome(verdict),
        headline=decision.headline(verdict),
        reasons=decision.reasons(verdict),
        facts=list(decision.facts(findings)),
        metrics=decision.metric_rows(findings),
        masked={"train": "train", "train_valid": "train and validation"}[findings.params.evaluation.mask],
        distribution=decision.distribution(findings),
        against=decision.against_champion(findings),
        forests=list(comparison.forests(findings)),
        slices=comparison.slice_table(findings),
        slice_notes=comparison.slice_notes(findings),
        beyond_accuracy=comparison.beyond_accuracy_table(findings),
        checks=checks(findings),
        search_summary=training.search_summary(findings),
        search=list(training.search_charts(findings)),
        start_summary=training.start_summary(findings),
        start_tables=list(training.start_tables(findings)),
        curves=list(training.curves(findings)),
        parts=data.parts(findings),
        data_charts=list(data.data_charts(findings)),
        data_tables=list(data.data_tables(findings)),
        settings=list(training.settings(findings)),
        lineage=findings.lineage,
    )
