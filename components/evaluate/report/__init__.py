"""report.html: one page about one decision. It asks the network for nothing and holds no time stamps."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from components.evaluate.report.page import Page
from components.evaluate.report.wording import signed

_HERE = Path(__file__).parent


def render(page: Page, own: Any, *templates: Path) -> str:
    """The page as HTML. Equal content gives equal bytes.

    Args:
        own: what the page of the task shows beside what all show.
        templates: the task's directory, whose `sections.html.j2` extends `page.html.j2`, and others that it
            takes templates from.
    """
    environment = Environment(
        loader=FileSystemLoader([*templates, _HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["signed"] = signed
    # The style sheet is ours, and `>` must stay what it is.
    style = Markup((_HERE / "style.css").read_text(encoding="utf-8"))  # noqa: S704
    return environment.get_template("sections.html.j2").render(page=page, own=own, style=style)
