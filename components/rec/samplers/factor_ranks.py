"""Ranks along one dimension of the embeddings at a time (Rendle & Freudenthaler 2014, §4)."""

import math
from collections.abc import Mapping
from typing import Final, final

import torch
from torch import Tensor

from components.rec.data import RankingData
from components.rec.models.base import Encoded
from components.rec.samplers.ranks import DrawRanks, Ranks
from components.rec.samplers.unobserved import UnobservedItems

_NUM_TRIES: Final = 4  # places from the drawn one on, of which the first unobserved item is taken


@final
class FactorRanks(Ranks):
    """Stands in for the ranks of all scores, at a cost that does not depend on the number of items.

    A user's score is a sum over dimensions. For each negative a dimension f is drawn with
    p(f | u) ∝ |θ_uf| σ_f, σ_f the items' standard deviation along it; the item is the one at the drawn rank
    along f, from the top or, where θ_uf is negative, from the bottom. The items are sorted again after
    `refresh` × I ln I draws.

    Departure: ranks are among all items. Where the drawn item is observed, the next one in that order is
    taken, and a uniform unobserved one if four in a row are observed; the authors leave that open.
    """

    def __init__(self, refresh: float, data: RankingData) -> None:
        self._num_items = data.num_items
        self._interval = refresh * data.num_items * math.log(max(data.num_items, 2))
        self._unobserved = UnobservedItems(data, torch.ones_like(data.popularity))
        self._observed = data.train.rows * data.num_items + data.train.values  # ascending
        self._order_DI: Tensor | None = None
        self._deviation_D: Tensor | None = None
        self._num_draws = 0

    def draw(
        self,
        encoded: Encoded,
        user_B: Tensor,
        num_negatives: int,
        ranks: DrawRanks,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        rank_BN = ranks(user_B, num_negatives)
        order_DI, deviation_D = self._sorted(encoded)
        self._num_draws += rank_BN.numel()
        user_BD = encoded.users(user_B)
        factor_BN = _draw_factors(user_BD.abs() * deviation_D, rank_BN.shape[1], generator)
        from_top_BN = user_BD.gather(1, factor_BN) >= 0
        tries_BNT = rank_BN[:, :, None] + torch.arange(_NUM_TRIES, device=user_B.device)
        tries_BNT = torch.where(from_top_BN[:, :, None], tries_BNT, self._num_items - 1 - tries_BNT)
        item_BNT = order_DI[factor_BN[:, :, None], tries_BNT.remainder(self._num_items)]
        free_BNT = ~self._is_observed(user_B, item_BNT)
        first_BN = free_BNT.to(torch.int8).argmax(dim=2, keepdim=True)  # the first of equals
        found_BN = item_BNT.gather(2, first_BN)[:, :, 0]
        instead_BN = self._unobserved.draw(user_B, rank_BN.shape[1], generator=generator)
        return torch.where(free_BNT.any(dim=2), found_BN, instead_BN)

    def state(self) -> dict[str, Tensor]:
        if self._order_DI is None or self._deviation_D is None:
            return {}
        draws = torch.tensor(self._num_draws)
        return {"order": self._order_DI, "deviation": self._deviation_D, "draws": draws}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        if state:
            self._order_DI, self._deviation_D = state["order"], state["deviation"]
            self._num_draws = int(state["draws"])

    def _sorted(self, encoded: Encoded) -> tuple[Tensor, Tensor]:
        """(D, I) items along each dimension, highest first, and the (D,) deviations."""
        if self._order_DI is None or self._deviation_D is None or self._num_draws >= self._interval:
            items_ID = encoded.tables().items
            self._order_DI = items_ID.T.argsort(dim=1, descending=True, stable=True)
            self._deviation_D = items_ID.std(dim=0, correction=0)
            self._num_draws = 0
        return self._order_DI, self._deviation_D

    def _is_observed(self, user_B: Tensor, item_BNT: Tensor) -> Tensor:
        if not len(self._observed):
            return torch.zeros_like(item_BNT, dtype=torch.bool)
        key = user_B[:, None, None] * self._num_items + item_BNT
        place = torch.searchsorted(self._observed, key).clamp_(max=len(self._observed) - 1)
        return self._observed[place] == key


def _draw_factors(weight_BD: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """(B, count) dimensions in proportion to their weights."""
    upto_BD = weight_BD.double().cumsum(dim=1)
    shape = (len(weight_BD), count)
    uniform = torch.rand(shape, generator=generator, device=weight_BD.device, dtype=torch.float64)
    found = torch.searchsorted(upto_BD, uniform * upto_BD[:, -1:], right=True)
    return found.clamp_(max=weight_BD.shape[1] - 1)
