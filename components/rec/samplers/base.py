"""What makes negatives."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from components.core.errors import InvalidInputError
from components.rec.data import PairBatch, RankingData
from components.rec.models.base import Encoded, HopEncoded, RankingModel


class NegativeSource(ABC):  # noqa: B024  # what makes the negatives is for the two kinds to say
    """What samplers and mixers have in common: some remember."""

    def end_epoch(self, model: RankingModel) -> None:
        """The model's weights are settled; who looks back keeps something of them."""
        del model

    def state(self) -> dict[str, Tensor]:
        """What training resumed within an epoch needs; most keep nothing."""
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state` gave."""
        del state


class Sampler(NegativeSource):
    """Draws negatives j ∈ I − I_u (AutoSample eq. 2)."""

    @abstractmethod
    def sample(
        self, encoded: Encoded, batch: PairBatch, num_negatives: int, *, generator: torch.Generator
    ) -> Tensor:
        """(B, N) item ids.

        Args:
            encoded: the model within this step; only hard samplers look at it.
            batch: the positives.
            generator: on the same device as the batch.
        """


@final
@dataclass(frozen=True)
class Mixed:
    """Negatives that are no items: for each hop l of the graph a share of the positive's embedding and the
    rest of an item's.

    Attributes:
        item_BNL: one for each hop.
        share_BNL: of the positive, in [0, 1).
    """

    item_BNL: Tensor
    share_BNL: Tensor


class Mixer(NegativeSource):
    """Makes negatives out of embeddings."""

    @abstractmethod
    def mix(
        self, encoded: HopEncoded, batch: PairBatch, num_negatives: int, *, generator: torch.Generator
    ) -> Mixed:
        """N negatives for each positive; the arguments are those of `Sampler.sample`."""


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
