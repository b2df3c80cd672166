"""The exact draw from weights over a user's unobserved items."""

from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from components.compiled import njit, prange, prefetch
from components.rec.data import RankingData
from components.rec.models.base import takes_kernels
from components.rec.samplers.base import require_negatives

_AHEAD = 16  # users between their rows' being asked for and read
_KEY_BITS = 62


@final
class UnobservedItems:
    """Draws an unobserved item of a user in proportion to integer item weights: exactly, and without
    rejection.

    With a user's observed items s₀ < s₁ < … and the running sum C of all weights, the unobserved weight
    before sᵢ is aᵢ = C(sᵢ) − Σ_{m<i} w(s_m), ascending in i. A draw x among the user's unobserved weight
    lies behind c = #{i: aᵢ ≤ x} observed items; adding their weight gives its place in C. Both look-ups
    are binary searches: of the kernel within the user's own part and from a guide into C, else over one
    sorted key u·(W + 1) + aᵢ for all users at once. Both find the same.
    """

    def __init__(self, data: RankingData, weight_I: Tensor) -> None:
        """`weight_I`: (I,) int64, at least 1.

        Raises:
            InvalidInputError: a user has interacted with every item, so there is no negative to draw.
        """
        require_negatives(data)
        assert int(weight_I.min()) >= 1
        self._upto = weight_I.cumsum(0)  # (I,) C including the item itself
        observed = data.train
        own = weight_I[observed.values]
        running = torch.cat([own.new_zeros(1), own.cumsum(0)])  # over all users' observed items in a row
        within = running[:-1] - torch.repeat_interleave(running[observed.offsets[:-1]], observed.counts)
        before = self._upto[observed.values] - own - within
        self._offsets = observed.offsets
        self._running = running
        seen_U = running[observed.offsets[1:]] - running[observed.offsets[:-1]]
        self._free_U = self._upto[-1] - seen_U
        self._compiled = takes_kernels(data.user)
        if self._compiled:
            guide, self._shift = _guide(self._upto)
            self._alike = int(self._upto[-1]) == len(self._upto)
            known = (observed.offsets, before, running, self._free_U, self._upto, guide)
            self._arrays: tuple[Any, ...] = tuple(tensor.numpy() for tensor in known)
        else:
            self._stride = int(self._upto[-1]) + 1
            assert self._stride * data.num_users < 1 << 63
            self._key = observed.rows * self._stride + before

    def draw(self, user_B: Tensor, count: int, *, generator: torch.Generator) -> Tensor:
        """(B, count) item ids."""
        shape = (len(user_B), count)
        # float64 carries 53 random bits: the bias against weights below 2^40 is under 2^-13 of one weight
        uniform_BC = torch.rand(shape, generator=generator, device=user_B.device, dtype=torch.float64)
        if self._compiled:
            item_BC = torch.empty(shape, dtype=torch.int64)
            offsets, before, running, free_U, upto, guide = self._arrays
            _draw(
                user_B.numpy(), uniform_BC.numpy(), item_BC.numpy(),
                offsets, before, running, free_U, upto, guide, self._shift, self._alike,
            )  # fmt: skip
            return item_BC
        user_BC = user_B[:, None].expand(shape)
        free_BC = self._free_U[user_BC]
        x_BC = (uniform_BC * free_BC).long().clamp_(max=free_BC - 1)
        place = torch.searchsorted(self._key, user_BC * self._stride + x_BC, right=True)
        skipped = self._running[place] - self._running[self._offsets[user_BC]]
        return torch.searchsorted(self._upto, x_BC + skipped, right=True)


def _guide(upto: Tensor) -> tuple[Tensor, int]:
    """Where a search in `upto` begins: for y >> shift = j at place guide[j], and it ends at guide[j + 1]."""
    total = int(upto[-1])
    shift = max(0, total.bit_length() - (2 * len(upto)).bit_length())
    steps = torch.arange((total >> shift) + 2) << shift
    return torch.searchsorted(upto, steps, right=True), shift


@njit(parallel=True)
def _draw(
    user_B: Any, uniform_BC: Any, item_BC: Any, offsets: Any, before: Any, running: Any, free_U: Any,
    upto: Any, guide: Any, shift: Any, alike: Any,
) -> None:  # fmt: skip
    last = len(user_B) - 1
    for b in prange(len(user_B)):
        soon = user_B[min(b + _AHEAD, last)]
        prefetch(offsets, soon)
        prefetch(free_U, soon)
        soon = offsets[user_B[min(b + _AHEAD // 2, last)]]
        prefetch(before, soon)
        user = user_B[b]
        free, begin, end = free_U[user], offsets[user], offsets[user + 1]
        for c in range(uniform_BC.shape[1]):
            x = min(np.int64(uniform_BC[b, c] * free), free - 1)
            low, high = begin, end
            while low < high:
                middle = (low + high) >> 1
                if before[middle] <= x:
                    low = middle + 1
                else:
                    high = middle
            if alike:  # all weights are 1
                item_BC[b, c] = x + low - begin
                continue
            y = x + running[low] - running[begin]
            low, high = guide[y >> shift], guide[(y >> shift) + 1]
            while low < high:
                middle = (low + high) >> 1
                if upto[middle] <= y:
                    low = middle + 1
                else:
                    high = middle
            item_BC[b, c] = low


def integer_weights(weight_I: Tensor, num_users: int) -> Tensor:
    """Weights scaled to integers of at least 1, as fine as the keys of `UnobservedItems` allow."""
    bits = min(40, _KEY_BITS - max(num_users, 2).bit_length())
    scale = 2.0**bits / float(weight_I.sum())
    return (weight_I.double() * scale).round().long().clamp(min=1)
