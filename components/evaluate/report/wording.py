"""Words of programs, set for reading."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """What the columns of a trajectory show whose names begin alike; `limits` are those of the y axis."""

    title: str
    note: str
    limits: tuple[float, float] | None = None


@final
@dataclass(frozen=True, kw_only=True)
class Wording:
    """How a task's names are told.

    Attributes:
        metric_name: as people write it.
        metrics: a regular expression that finds metrics in text.
        trajectories: prefix of a search's columns → what they show.
        drawn: what the training loss of a search is.
    """

    metric_name: Callable[[str], str]
    metrics: str
    trajectories: Mapping[str, Trajectory]
    drawn: str

    def named(self, told: str) -> str:
        """Words of a program with names of metrics, and real minus signs."""
        found = re.sub(self.metrics, lambda match: self.metric_name(match[0]), told)
        return re.sub(r"-(?=\d)", "−", found)


def signed(value: float, digits: int = 4) -> str:
    """With its sign, and a real minus."""
    return f"{value:+.{digits}f}".replace("-", "−")


def allowed(low: float | None, high: float | None) -> str:
    """The values between two ends, of which either may be open."""
    ends = [f"≥ {low:g}"] if low is not None else []
    return " ".join([*ends, *([f"≤ {high:g}"] if high is not None else [])])


def or_dash(value: float | None, digits: int = 4) -> str:
    """A number, or that there is none."""
    return "–" if value is None else f"{value:.{digits}f}"
