"""What cards of all tasks say of the data."""

from components.register.card.facts import Facts
from components.register.card.markdown import code, moment
from components.register.card.parts import Pair


def times(facts: Facts) -> Pair:
    """From when to when."""
    found = facts.profile["time_range"]
    return "time", (
        f"{moment(found['first'])} to {moment(found['last'])}" if found else "the data have no timestamps"
    )


def split(facts: Facts) -> Pair:
    """How it came apart, and what each part holds."""
    kind, sizes = facts.preparation["split"]["kind"], facts.preparation["sizes"]
    return "split", f"{code(kind)}: " + ", ".join(
        f"{sizes[part]:,} {part}" for part in ("train", "valid", "test")
    )
