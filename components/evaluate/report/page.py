"""What the pages of all tasks show, in its order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from components.core.columns import PARTS
from components.evaluate.report import decision, training
from components.evaluate.report.charts import Chart
from components.evaluate.report.checks import Checks, checks
from components.evaluate.report.decision import Fact
from components.evaluate.report.document import Table
from components.evaluate.report.findings import AnyFindings
from components.evaluate.report.shares import Share, shares


@final
@dataclass(frozen=True, kw_only=True)
class Page:
    """The content of `page.html.j2`. `outcome` is promote, keep or refuse."""

    model: str
    outcome: str
    headline: str
    reasons: Sequence[str]
    facts: Sequence[Fact]
    checks: Checks
    search_summary: str
    search: Sequence[Chart]
    start_summary: str
    start_tables: Sequence[Table]
    curves: Sequence[Chart]
    parts: Sequence[Share]
    settings: Sequence[Table]
    lineage: Mapping[str, str]


def build_page(findings: AnyFindings, facts: Iterable[Fact]) -> Page:
    """Findings turned into words, numbers and charts; `facts` are the task's own."""
    verdict = findings.verdict
    return Page(
        model=findings.params.model,
        outcome=decision.outcome(verdict),
        headline=decision.headline(verdict),
        reasons=decision.reasons(findings),
        facts=list(facts),
        checks=checks(findings),
        search_summary=training.search_summary(findings),
        search=list(training.search_charts(findings)),
        start_summary=training.start_summary(findings),
        start_tables=list(training.start_tables(findings)),
        curves=list(training.curves(findings)),
        parts=shares({part: findings.preparation["sizes"][part] for part in PARTS}),
        settings=list(training.settings(findings)),
        lineage=findings.lineage,
    )
