"""What a negative sampler is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor

from components.core.errors import InvalidInputError
from components.rec.data import RankingData
from components.rec.models.base import Encoded


class Sampler(ABC):
    """Draws negatives j ∈ I − I_u, independently and with p_u(j) > 0 (AutoSample eq. 2)."""

    @abstractmethod
    def sample(
        self, encoded: Encoded, user_B: Tensor, num_negatives: int, *, generator: torch.Generator
    ) -> Tensor:
        """(B, N) item ids.

        Args:
            encoded: the model within this step; only hard samplers look at it.
            user_B: the positives' users.
            generator: on the same device as `user_B`.
        """

    def state(self) -> dict[str, Tensor]:
        """What a sampler resumed within an epoch needs; most keep nothing."""
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state` gave."""
        del state


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
