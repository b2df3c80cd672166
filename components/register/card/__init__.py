"""model_card.md: what a version is, what it was made from, how good it is, and what to beware of.

Written from artifacts and manifests alone, with no clock of its own: equal inputs give equal bytes.
"""

import re
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from components.register.card.content import build_card
from components.register.card.facts import Facts
from components.register.card.markdown import code, inline, table

__all__ = ["CARD_FILE", "Facts", "render_card", "shorten", "spaced"]

CARD_FILE: Final = "model_card.md"
_HERE = Path(__file__).parent
_SECTION = "\n## "
_WIDE = "\u2002\u200b"  # an en space, kept from being trimmed
_CELL_END = re.compile(r"(?<=[^-: ]) \|(?=.*[^-:| \n])")  # in a row that holds more than rules, but its last


def render_card(facts: Facts) -> str:
    """The card as Markdown."""
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=False,  # noqa: S701  # Markdown; what others wrote goes through `inline` and `code`
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"code": code, "inline": inline, "table": table}
    text = environment.get_template("model_card.md.j2").render(card=build_card(facts))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def spaced(card: str) -> str:
    """The card with wide blanks in its tables: MLflow's page sets one cell right beside the next."""
    return _CELL_END.sub(f"{_WIDE} |", card)


def shorten(card: str, max_length: int) -> str:
    """The card if it is short enough, else its first sections, as many as fit whole, and where the rest is.

    Raises:
        ValueError: not even what stands before the first section fits.
    """
    if len(card) <= max_length:
        return card
    head, *sections = card.split(_SECTION)
    titles = [section.partition("\n")[0] for section in sections]
    for kept in range(len(sections), -1, -1):
        rest = f"\n*{', '.join(titles[kept:])}: in {CARD_FILE}, an artifact of this version's run.*\n"
        text = _SECTION.join([head, *sections[:kept]]).rstrip("\n") + "\n" + rest
        if len(text) <= max_length:
            return text
    raise ValueError(f"{CARD_FILE}: its head alone is longer than {max_length} characters")
