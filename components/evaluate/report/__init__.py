"""report.html: one page about one decision. It asks the network for nothing and holds no time stamps."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from components.evaluate.report.decision import signed
from components.evaluate.report.findings import Findings
from components.evaluate.report.page import build_page

__all__ = ["Findings", "render"]

_HERE = Path(__file__).parent


def render(findings: Findings) -> str:
    """The page as HTML. Equal findings give equal bytes."""
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["signed"] = signed
    # The style sheet is ours, and `>` must stay what it is.
    style = Markup((_HERE / "style.css").read_text(encoding="utf-8"))  # noqa: S704
    return environment.get_template("page.html.j2").render(page=build_page(findings), style=style)
