"""Parts of a whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class Share:
    """A part of a whole, in percent."""

    name: str
    count: int
    percent: float


def shares(counts: Mapping[str, int]) -> list[Share]:
    """Every part with its share of the sum, which is positive."""
    total = sum(counts.values())
    return [Share(name, count, 100 * count / total) for name, count in counts.items()]
