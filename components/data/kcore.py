"""The k-core of interactions: every user and item left has at least so many of those left."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.core.recipe.prepare import Core

Indices = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Round:
    """What one round of peeling took away."""

    users: int
    items: int
    interactions: int


@dataclass(frozen=True)
class Peeled:
    """The core: positions of the interactions in it, ascending, and the rounds until nothing changed."""

    kept: npt.NDArray[np.int64]
    rounds: tuple[Round, ...]


def peel(user_N: Indices, item_N: Indices, core: Core) -> Peeled:
    """The maximal core of distinct pairs: in rounds, all users and items below their threshold go at once."""
    kept = np.arange(len(user_N))
    rounds: list[Round] = []
    while True:
        user_degree, item_degree = np.bincount(user_N), np.bincount(item_N)
        stays = (user_degree >= core.users)[user_N] & (item_degree >= core.items)[item_N]
        if stays.all():
            return Peeled(kept, tuple(rounds))
        user_N, item_N, kept = user_N[stays], item_N[stays], kept[stays]
        rounds.append(
            Round(
                users=_num_present(user_degree) - _num_present(np.bincount(user_N)),
                items=_num_present(item_degree) - _num_present(np.bincount(item_N)),
                interactions=len(stays) - int(stays.sum()),
            )
        )


def largest_core(user_N: Indices, item_N: Indices, core: Core) -> Core:
    """Of the cores made from `core` by lowering its thresholds to at most some k, the largest that leaves
    something; there is always one, as long as there is an interaction."""
    low, high = 1, max(core.users, core.items)
    while low < high:
        middle = (low + high + 1) // 2
        if len(peel(user_N, item_N, _capped(core, middle)).kept):
            low = middle
        else:
            high = middle - 1
    return _capped(core, low)


def _num_present(degree: npt.NDArray[np.int64]) -> int:
    return int(np.count_nonzero(degree))


def _capped(core: Core, k: int) -> Core:
    return Core(users=min(core.users, k), items=min(core.items, k))
