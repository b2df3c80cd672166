"""Whether a challenger replaces the champion: pure decisions on per-user metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray


@final
@dataclass(frozen=True, kw_only=True)
class Floor:
    """A value that a metric must reach."""

    value: float
    floor: float

    @property
    def passed(self) -> bool:
        return self.value >= self.floor


@final
@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Challenger and champion on the same users.

    Attributes:
        challenger, champion: means over the users.
        better, worse, equal: users by the sign of their own difference.
    """

    challenger: float
    champion: float
    better: int
    worse: int
    equal: int

    @property
    def difference(self) -> float:
        return self.challenger - self.champion


@final
@dataclass(frozen=True, kw_only=True)
class Decision:
    """Whether to promote, and why, in a sentence for people."""

    promote: bool
    reason: str


def compare(challenger_U: NDArray[np.float64], champion_U: NDArray[np.float64]) -> Comparison:
    """Compare two models on one metric, paired by user (U ≥ 1)."""
    difference_U = challenger_U - champion_U
    return Comparison(
        challenger=float(challenger_U.mean()),
        champion=float(champion_U.mean()),
        better=int((difference_U > 0).sum()),
        worse=int((difference_U < 0).sum()),
        equal=int((difference_U == 0).sum()),
    )


def check_floors(means: Mapping[str, float], floors: Mapping[str, float]) -> dict[str, Floor]:
    """Every floor with what was reached, in the order of their names."""
    return {name: Floor(value=means[name], floor=floors[name]) for name in sorted(floors)}


def decide(
    metric: str,
    margin: float,
    floors: Mapping[str, Floor],
    challenger_U: NDArray[np.float64],
    champion_U: NDArray[np.float64] | None,
) -> Decision:
    """The rule of promotion: pass every floor, then beat the champion's mean by more than `margin`.

    Args:
        metric: name of what is compared, such as `ndcg@20`.
        margin: in the metric's own unit.
        floors: of `check_floors`.
        challenger_U: the metric of each test user.
        champion_U: the same users' metric under the champion; None when there is no champion.
    """
    broken = [
        f"{name} {floor.value:.4f} < {floor.floor:g}" for name, floor in floors.items() if not floor.passed
    ]
    if broken:
        return Decision(promote=False, reason=f"below {_count(len(broken), 'floor')}: {', '.join(broken)}")
    if champion_U is None:
        passed = f"it passes {_count(len(floors), 'floor')}" if floors else "no floors were asked for"
        return Decision(promote=True, reason=f"there is no champion to beat, and {passed}")
    found = compare(challenger_U, champion_U)
    promote = found.difference > margin
    reason = (
        f"{metric} {found.challenger:.4f} against the champion's {found.champion:.4f}: "
        f"{found.difference:+.4f} is {'' if promote else 'not '}above the margin of {margin:g}"
    )
    return Decision(promote=promote, reason=reason)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
