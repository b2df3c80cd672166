"""The k-core of interactions: every user and item left has at least so many of those left."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.compiled import available, njit
from components.core.recipe.prepare import Core
from components.data.vocabulary import Codes, Counts, count_codes

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Round:
    """What one round of peeling took away."""

    users: int
    items: int
    interactions: int


@dataclass(frozen=True)
class Peeled:
    """The core: which interactions are in it, and the rounds until nothing changed."""

    stays_N: Mask
    rounds: tuple[Round, ...]


def peel(user_N: Codes, item_N: Codes, core: Core) -> Peeled:
    """The maximal core of distinct pairs: in rounds, all users and items below their threshold go at once.

    Compiled, it looks at no interaction more than three times, however many rounds there are.
    """
    user_degree, item_degree = count_codes(user_N), count_codes(item_N)
    if not available():
        return _peel_rounds(user_N, item_N, user_degree, item_degree, core)
    stays_N, rounds = _peel_lists(
        user_N,
        item_N,
        user_degree,
        item_degree,
        _group(user_N, user_degree),
        _group(item_N, item_degree),
        core.users,
        core.items,
    )
    return Peeled(stays_N, tuple(Round(*removed) for removed in rounds.tolist()))


def largest_core(user_N: Codes, item_N: Codes, core: Core) -> Core:
    """Of the cores made from `core` by lowering its thresholds to at most some k, the largest that leaves
    something; there is always one, as long as there is an interaction."""
    low, high = 1, max(core.users, core.items)
    while low < high:
        middle = (low + high + 1) // 2
        if peel(user_N, item_N, _capped(core, middle)).stays_N.any():
            low = middle
        else:
            high = middle - 1
    return _capped(core, low)


def _capped(core: Core, k: int) -> Core:
    return Core(users=min(core.users, k), items=min(core.items, k))


def _peel_rounds(
    user_N: Codes, item_N: Codes, user_degree: Counts, item_degree: Counts, core: Core
) -> Peeled:
    """Every round looks at all that is left."""
    stays_N = np.ones(len(user_N), bool)
    rounds: list[Round] = []
    while True:
        goes = (user_degree < core.users)[user_N] | (item_degree < core.items)[item_N]
        if not goes.any():
            return Peeled(stays_N, tuple(rounds))
        stays_N[stays_N] = ~goes
        present = _num_present(user_degree), _num_present(item_degree)
        user_degree = user_degree - count_codes(user_N[goes], len(user_degree))
        item_degree = item_degree - count_codes(item_N[goes], len(item_degree))
        rounds.append(
            Round(
                users=present[0] - _num_present(user_degree),
                items=present[1] - _num_present(item_degree),
                interactions=int(goes.sum()),
            )
        )
        user_N, item_N = user_N[~goes], item_N[~goes]


def _num_present(degree: Counts) -> int:
    return int(np.count_nonzero(degree))


@njit()
def _group(code_N: Codes, count: Counts) -> Codes:
    """The rows of each code, one code after the other."""
    place = np.zeros(len(count), np.int64)
    place[1:] = np.cumsum(count)[:-1]
    row_N = np.empty(len(code_N), np.int32)
    for row in range(len(code_N)):
        code = code_N[row]
        row_N[place[code]] = row
        place[code] += 1
    return row_N


@njit()
def _peel_lists(
    user_N: Codes,
    item_N: Codes,
    user_degree: Counts,
    item_degree: Counts,
    row_of_user: Codes,
    row_of_item: Codes,
    k_users: int,
    k_items: int,
) -> tuple[Mask, Counts]:
    """Every round looks at the interactions of those who go: users and items stand in line from when they
    fall below their threshold."""
    user_end, item_end = np.cumsum(user_degree), np.cumsum(item_degree)
    user_start, item_start = user_end - user_degree, item_end - item_degree
    user_line, num_users = np.empty(len(user_degree), np.int32), 0
    for user in range(len(user_degree)):
        if 0 < user_degree[user] < k_users:
            user_line[num_users] = user
            num_users += 1
    item_line, num_items = np.empty(len(item_degree), np.int32), 0
    for item in range(len(item_degree)):
        if 0 < item_degree[item] < k_items:
            item_line[num_items] = item
            num_items += 1
    stays_N = np.ones(len(user_N), np.bool_)
    rounds = np.empty((16, 3), np.int64)
    num_rounds = first_user = first_item = 0
    while first_user < num_users or first_item < num_items:
        last_user, last_item = num_users, num_items
        users_left = items_left = removed = 0
        for side in range(2):
            first, last = (first_user, last_user) if side == 0 else (first_item, last_item)
            for number in range(first, last):
                if side == 0:
                    code = user_line[number]
                    start, end = user_start[code], user_end[code]
                else:
                    code = item_line[number]
                    start, end = item_start[code], item_end[code]
                for place in range(start, end):
                    row = row_of_user[place] if side == 0 else row_of_item[place]
                    if not stays_N[row]:
                        continue
                    stays_N[row] = False
                    removed += 1
                    user, item = user_N[row], item_N[row]
                    user_degree[user] -= 1
                    item_degree[item] -= 1
                    users_left += user_degree[user] == 0
                    items_left += item_degree[item] == 0
                    if user_degree[user] == k_users - 1:
                        user_line[num_users] = user
                        num_users += 1
                    if item_degree[item] == k_items - 1:
                        item_line[num_items] = item
                        num_items += 1
        first_user, first_item = last_user, last_item
        if removed:  # those in line may have lost all in the round in which they joined
            if num_rounds == len(rounds):
                rounds = np.concatenate((rounds, np.empty_like(rounds)))
            rounds[num_rounds] = (users_left, items_left, removed)
            num_rounds += 1
    return stays_N, rounds[:num_rounds]
