"""What the pages of all tasks show, in its order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from components.core.columns import PARTS
from components.evaluate.report import decision
from components.evaluate.report.checks import Checks, checks
from components.evaluate.report.course import Course
from components.evaluate.report.decision import Fact
from components.evaluate.report.document import Table
from components.evaluate.report.findings import AnyFindings
from components.evaluate.report.settings import settings
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
    course: Course
    parts: Sequence[Share]
    settings: Sequence[Table]
    lineage: Mapping[str, str]


def build_page(findings: AnyFindings, facts: Iterable[Fact], course: Course) -> Page:
    """Findings turned into words, numbers and charts.

    Args:
        facts, course: the task's own.
    """
    verdict, sizes = findings.verdict, findings.preparation["sizes"]
    return Page(
        model=findings.params.model,
        outcome=decision.outcome(verdict),
        headline=decision.headline(verdict),
        reasons=decision.reasons(findings),
        facts=list(facts),
        checks=checks(findings),
        course=course,
        parts=shares({part: sizes[part] for part in PARTS if part in sizes}),
        settings=list(settings(findings)),
        lineage=findings.lineage,
    )
