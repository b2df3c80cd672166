"""The page about a model that ranks."""

from pathlib import Path

from components.evaluate import report
from components.evaluate.ranking.report.decision import facts
from components.evaluate.ranking.report.findings import Findings
from components.evaluate.ranking.report.sections import build_sections
from components.evaluate.report.page import build_page
from components.evaluate.report.training import course

__all__ = ["Findings", "render"]


def render(findings: Findings) -> str:
    """The page as HTML. Equal findings give equal bytes."""
    page = build_page(findings, facts(findings), course(findings))
    return report.render(page, build_sections(findings), Path(__file__).parent)
