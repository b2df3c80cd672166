"""What a negative sampler is, and the exact draw from weights over a user's unobserved items."""

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor

from components.core.errors import InvalidInputError
from components.rec.data import RankingData
from components.rec.models.base import Encoded

_KEY_BITS = 62


class Sampler(ABC):
    """Draws negatives j ∈ I − I_u, independently and with p_u(j) > 0 (AutoSample eq. 2)."""

    @abstractmethod
    def sample(
        self, encoded: Encoded, user_B: Tensor, num_negatives: int, *, generator: torch.Generator
    ) -> Tensor:
        """(B, N) item ids.

        Args:
            encoded: the model's tables without gradients; only hard samplers look at them.
            user_B: the positives' users.
            generator: on the same device as `user_B`.
        """


@final
class UnobservedItems:
    """Draws an unobserved item of a user in proportion to integer item weights: exactly, and without
    rejection.

    With a user's observed items s₀ < s₁ < … and the running sum C of all weights, the unobserved weight
    before sᵢ is aᵢ = C(sᵢ) − Σ_{m<i} w(s_m), ascending in i. A draw x among the user's unobserved weight
    lies behind c = #{i: aᵢ ≤ x} observed items; adding their weight gives its place in C. Both look-ups
    are binary searches, the first over one sorted key u·(W + 1) + aᵢ for all users at once.
    """

    def __init__(self, data: RankingData, weight_I: Tensor) -> None:
        """`weight_I`: (I,) int64, at least 1.

        Raises:
            InvalidInputError: a user has interacted with every item, so there is no negative to draw.
        """
        require_negatives(data)
        assert int(weight_I.min()) >= 1
        self._upto = weight_I.cumsum(0)  # (I,) C including the item itself
        self._stride = int(self._upto[-1]) + 1
        assert self._stride * data.num_users < 1 << 63
        observed = data.train
        own = weight_I[observed.values]
        running = torch.cat([own.new_zeros(1), own.cumsum(0)])  # over all users' observed items in a row
        within = running[:-1] - torch.repeat_interleave(running[observed.offsets[:-1]], observed.counts)
        before = self._upto[observed.values] - own - within
        self._key = observed.rows * self._stride + before
        self._offsets = observed.offsets
        self._running = running
        seen_U = running[observed.offsets[1:]] - running[observed.offsets[:-1]]
        self._free_U = self._upto[-1] - seen_U

    def draw(self, user_B: Tensor, count: int, *, generator: torch.Generator) -> Tensor:
        """(B, count) item ids."""
        shape = (len(user_B), count)
        user_BC = user_B[:, None].expand(shape)
        # float64 carries 53 random bits: the bias against weights below 2^40 is under 2^-13 of one weight
        uniform = torch.rand(shape, generator=generator, device=user_B.device, dtype=torch.float64)
        free_BC = self._free_U[user_BC]
        x_BC = (uniform * free_BC).long().clamp_(max=free_BC - 1)
        place = torch.searchsorted(self._key, user_BC * self._stride + x_BC, right=True)
        skipped = self._running[place] - self._running[self._offsets[user_BC]]
        return torch.searchsorted(self._upto, x_BC + skipped, right=True)


def require_negatives(data: RankingData) -> None:
    """Every user must have an item left to draw.

    Raises:
        InvalidInputError: a user has interacted with every item.
    """
    full = torch.nonzero(data.train.counts >= data.num_items).flatten()
    if len(full):
        raise InvalidInputError(
            f"training.sampler: {len(full)} of {data.num_users} users (the first has dense id "
            f"{int(full[0])}) interacted with all {data.num_items} items in train, so no negative is "
            "left for them; leave such users out or widen the catalogue"
        )


def integer_weights(weight_I: Tensor, num_users: int) -> Tensor:
    """Weights scaled to integers of at least 1, as fine as the keys of `UnobservedItems` allow."""
    bits = min(40, _KEY_BITS - max(num_users, 2).bit_length())
    scale = 2.0**bits / float(weight_I.sum())
    return (weight_I.double() * scale).round().long().clamp(min=1)
