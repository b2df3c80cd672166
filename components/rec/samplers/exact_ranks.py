"""Ranks of all scores, kept for some draws."""

from collections.abc import Mapping
from typing import Final, final

import numpy as np
import torch
from torch import Tensor

from components.rec.data import RankingData
from components.rec.models.base import Encoded
from components.rec.products import inner_products
from components.rec.samplers.ranks import DrawRanks, Ranks

_BLOCK_USERS: Final = 64  # one block of scores fits a CPU cache
_SAMPLED_EVERY: Final = 64  # items between those that tell where about a rank's score lies


@final
class ExactRanks(Ranks):
    """Items at ranks among all unobserved items of a user, by score.

    Ranking a user costs a score for each item. So when a user is ranked, the negatives of its next
    `kept` − 1 positives are drawn, too, and come from scores of some steps ago.
    """

    def __init__(self, kept: int, data: RankingData) -> None:
        self._spare = kept - 1
        self._train = data.train
        self._find = _find if data.user.device.type == "cpu" else items_at
        self._items: Tensor | None = None  # (U, kept − 1, N) drawn before they are needed
        self._used_U = torch.full((data.num_users,), self._spare, device=data.user.device)

    def draw(
        self,
        encoded: Encoded,
        user_B: Tensor,
        num_negatives: int,
        ranks: DrawRanks,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        del generator  # all that is random are the ranks
        if self._items is None:
            shape = (len(self._used_U), self._spare, num_negatives)
            self._items = torch.zeros(shape, dtype=torch.int32, device=user_B.device)
        drawn_BN = torch.empty(len(user_B), num_negatives, dtype=torch.int64, device=user_B.device)
        place_B = self._used_U[user_B] + _nth_of_its_kind(user_B)
        kept = torch.nonzero(place_B < self._spare).flatten()
        users = user_B[kept]
        drawn_BN[kept] = self._items[users, place_B[kept]].long()
        self._used_U.index_add_(0, users, torch.ones_like(users))

        asked = torch.nonzero(place_B >= self._spare).flatten()
        if len(asked):
            user_R, row_of_asked = torch.unique(user_B[asked], return_inverse=True)
            nth = _nth_of_its_kind(row_of_asked)
            most = int(nth.max()) + 1
            rank_RC = ranks(user_R, (most + self._spare) * num_negatives)
            item_RCN = self._at(encoded, user_R, rank_RC).reshape(len(user_R), -1, num_negatives)
            drawn_BN[asked] = item_RCN[row_of_asked, nth]
            self._items[user_R] = item_RCN[:, most:].int()
            self._used_U[user_R] = 0
        return drawn_BN

    def state(self) -> dict[str, Tensor]:
        return {} if self._items is None else {"items": self._items, "used": self._used_U}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        if state:
            self._items, self._used_U = state["items"], state["used"]

    def _at(self, encoded: Encoded, user_R: Tensor, rank_RC: Tensor) -> Tensor:
        """(R, C) the items at a user's ranks."""
        tables, found = encoded.tables(), []
        for begin in range(0, len(user_R), _BLOCK_USERS):
            users, wanted = user_R[begin : begin + _BLOCK_USERS], rank_RC[begin : begin + _BLOCK_USERS]
            score_RI = inner_products(tables.users[users], tables.items)
            seen = self._train.select(users)
            score_RI[seen.rows, seen.values] = -torch.inf
            found.append(self._find(score_RI, wanted))
        return torch.cat(found)


def items_at(score_RI: Tensor, rank_RC: Tensor) -> Tensor:
    """(R, C) the items at the ranks of each row's scores, ties to the lowest item."""
    order_RI = score_RI.argsort(dim=1, descending=True, stable=True)
    return order_RI.gather(1, rank_RC)


def _find(score_RI: Tensor, rank_RC: Tensor) -> Tensor:
    """The same on a CPU, where no more is sorted than is asked for."""
    found = np.empty(rank_RC.shape, np.int64)
    for row, (score_I, rank_C) in enumerate(zip(score_RI.numpy(), rank_RC.numpy(), strict=True)):
        deepest = int(rank_C.max()) + 1
        # where about the deepest rank lies, and somewhat below
        least = -np.sort(-score_I[::_SAMPLED_EVERY])
        place = (deepest + deepest // 4) // _SAMPLED_EVERY + 4
        kept = np.flatnonzero(score_I >= least[place]) if place < len(least) else np.arange(len(score_I))
        if len(kept) < deepest:
            kept = np.arange(len(score_I))
        order = np.argsort(-score_I[kept], kind="stable")
        found[row] = kept[order[rank_C]]
    return torch.from_numpy(found)


def _nth_of_its_kind(values: Tensor) -> Tensor:
    """For each value how many equal ones stand before it."""
    order = torch.argsort(values, stable=True)
    ordered = values[order]
    place = torch.arange(len(values), device=values.device)
    begins = torch.ones_like(ordered, dtype=torch.bool)
    begins[1:] = ordered[1:] != ordered[:-1]
    nth = torch.empty_like(place)
    nth[order] = place - torch.where(begins, place, 0).cummax(0).values
    return nth
