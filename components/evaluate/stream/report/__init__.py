"""The page about a model that follows a stream: that of a classifier, with the course over time and the sizes
of embeddings."""

from pathlib import Path
from typing import Final

from components.evaluate import report
from components.evaluate.classification.report import Findings
from components.evaluate.classification.report import __path__ as classification
from components.evaluate.classification.report.metrics import facts
from components.evaluate.report.page import build_page
from components.evaluate.stream.report.following import course
from components.evaluate.stream.report.sections import build_sections

__all__ = ["render"]

_TEMPLATES: Final = (Path(__file__).parent, *map(Path, classification))


def render(findings: Findings) -> str:
    """The page as HTML. Equal findings give equal bytes."""
    page = build_page(findings, facts(findings), course(findings))
    return report.render(page, build_sections(findings), *_TEMPLATES)
