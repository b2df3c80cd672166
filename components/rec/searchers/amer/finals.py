"""The last part of steps 1 and 3: children are looked at on shared weights, the best of them fine-tuned."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, final

from torch import Tensor

from components.metrics.direction import gain
from components.rec.loop import Fit

Child = TypeVar("Child")


@final
@dataclass(frozen=True, kw_only=True)
class Winner:
    """The child that is best after fine-tuning.

    Attributes:
        patch: of the training section.
        decision: who it is, among how many, and who was fine-tuned: what each was worth on the shared weights
            and then, and what would make it of a training section.
        value: of the metric, on valid.
        weights: its own.
        seconds: of looking and of fine-tuning.
    """

    patch: Mapping[str, Any]
    decision: Mapping[str, Any]
    value: float
    weights: dict[str, Tensor]
    seconds: float


def winner_of(
    children: Sequence[Child],
    look: Callable[[Sequence[Child]], Sequence[float]],
    tune: Callable[[Child, int], Fit],
    *,
    told: Callable[[Child], str],
    patched: Callable[[Child], Mapping[str, Any]],
    metric: str,
    top: int,
) -> Winner:
    """Of equals the one that came first.

    Args:
        look: the metric of each on the shared weights.
        tune: fine-tunes one, the how manyth.
        patched: what makes it of a training section.
    """
    began = time.monotonic()
    shared = look(children)
    order = sorted(range(len(children)), key=lambda number: -gain(metric, shared[number]))[:top]
    looked = time.monotonic() - began
    tuned = [tune(children[number], place) for place, number in enumerate(order)]
    place = max(range(len(order)), key=lambda place: gain(metric, tuned[place].best_value))
    best = [
        {
            "child": told(children[number]),
            "shared": shared[number],
            "fine_tuned": fitted.best_value,
            "patch": dict(patched(children[number])),
        }
        for number, fitted in zip(order, tuned, strict=True)
    ]
    return Winner(
        patch=patched(children[order[place]]),
        decision={"child": best[place]["child"], "children": len(children), "best": best},
        value=tuned[place].best_value,
        weights=tuned[place].weights,
        seconds=looked + sum(fitted.seconds for fitted in tuned),
    )
