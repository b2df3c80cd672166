"""Ranks along one dimension of the embeddings at a time (Rendle & Freudenthaler 2014, §4)."""

import math
from collections.abc import Mapping
from typing import Any, Final, final

import numpy as np
import torch
from torch import Tensor

from components.compiled import njit, prange
from components.rec.data import RankingData
from components.rec.models.base import Encoded, takes_kernels
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
        self._train = data.train
        self._compiled = takes_kernels(data.user)
        if not self._compiled:
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
        uniform_BN = torch.rand(rank_BN.shape, generator=generator, device=user_B.device, dtype=torch.float64)
        instead_BN = self._unobserved.draw(user_B, rank_BN.shape[1], generator=generator)
        weight_BD = user_BD.abs() * deviation_D
        if self._compiled:
            given = (user_B, user_BD, weight_BD, uniform_BN, rank_BN, order_DI)
            of_train = (self._train.offsets, self._train.values)
            _take(*(tensor.numpy() for tensor in (*given, *of_train, instead_BN)))
            return instead_BN
        factor_BN = _draw_factors(weight_BD, uniform_BN)
        from_top_BN = user_BD.gather(1, factor_BN) >= 0
        tries_BNT = rank_BN[:, :, None] + torch.arange(_NUM_TRIES, device=user_B.device)
        tries_BNT = torch.where(from_top_BN[:, :, None], tries_BNT, self._num_items - 1 - tries_BNT)
        item_BNT = order_DI[factor_BN[:, :, None], tries_BNT.remainder(self._num_items)]
        free_BNT = ~self._is_observed(user_B, item_BNT)
        first_BN = free_BNT.to(torch.int8).argmax(dim=2, keepdim=True)  # the first of equals
        found_BN = item_BNT.gather(2, first_BN)[:, :, 0]
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
            descending = _descending if items_ID.device.type == "cpu" else descending_order
            self._order_DI = descending(items_ID)
            self._deviation_D = items_ID.std(dim=0, correction=0)
            self._num_draws = 0
        return self._order_DI, self._deviation_D

    def _is_observed(self, user_B: Tensor, item_BNT: Tensor) -> Tensor:
        if not len(self._observed):
            return torch.zeros_like(item_BNT, dtype=torch.bool)
        key = user_B[:, None, None] * self._num_items + item_BNT
        place = torch.searchsorted(self._observed, key).clamp_(max=len(self._observed) - 1)
        return self._observed[place] == key


def descending_order(items_ID: Tensor) -> Tensor:
    """(D, I) items along each dimension, highest first, ties to the lowest item."""
    return items_ID.T.argsort(dim=1, descending=True, stable=True)


def _descending(items_ID: Tensor) -> Tensor:
    """The same on a CPU, several times as fast: integers with the item in their low bits are sorted."""
    bits_DI = (items_ID.T.contiguous().numpy() + np.float32(0)).view(np.uint32)  # −0 becomes 0
    falling_DI = np.where(bits_DI >> 31, bits_DI, ~bits_DI & np.uint32(0x7FFFFFFF))  # as the values rise
    key_DI = (falling_DI.astype(np.uint64) << np.uint64(32)) | np.arange(len(items_ID), dtype=np.uint64)
    key_DI.sort(axis=1)
    return torch.from_numpy((key_DI & np.uint64(0xFFFFFFFF)).view(np.int64))


def _draw_factors(weight_BD: Tensor, uniform_BN: Tensor) -> Tensor:
    """(B, N) dimensions in proportion to their weights."""
    upto_BD = weight_BD.double().cumsum(dim=1)
    found = torch.searchsorted(upto_BD, uniform_BN * upto_BD[:, -1:], right=True)
    return found.clamp_(max=weight_BD.shape[1] - 1)


@njit(parallel=True)
def _take(
    user_B: Any, user_BD: Any, weight_BD: Any, uniform_BN: Any, rank_BN: Any, order_DI: Any,
    offsets: Any, values: Any, item_BN: Any,
) -> None:  # fmt: skip
    """Put the first unobserved item from the drawn place on into `item_BN`; where there is none, leave it."""
    num_items, dim = order_DI.shape[1], user_BD.shape[1]
    for b in prange(len(user_B)):
        upto_D = np.empty(dim)
        total = 0.0
        for d in range(dim):
            total += weight_BD[b, d]
            upto_D[d] = total
        begin, end = offsets[user_B[b]], offsets[user_B[b] + 1]
        for n in range(rank_BN.shape[1]):
            factor = min(np.searchsorted(upto_D, uniform_BN[b, n] * total, side="right"), dim - 1)
            for rank in range(rank_BN[b, n], rank_BN[b, n] + _NUM_TRIES):
                place = rank % num_items
                if user_BD[b, factor] < 0:
                    place = num_items - 1 - place
                item = order_DI[factor, place]
                at = begin + np.searchsorted(values[begin:end], item)
                if at == end or values[at] != item:
                    item_BN[b, n] = item
                    break
