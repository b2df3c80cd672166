"""PNS: popularity-based negative sampling (Mikolov et al. 2013)."""

from typing import final

import torch
from torch import Tensor

from components.core.recipe.ranking import PopularitySampler
from components.rec.data import PairBatch, RankingData
from components.rec.models.base import Encoded
from components.rec.samplers.base import Sampler
from components.rec.samplers.unobserved import UnobservedItems, integer_weights


@final
class Popularity(Sampler):
    """p_u(j) ∝ popularity(j)^β over the unobserved items; popularity counts train interactions."""

    def __init__(self, config: PopularitySampler, data: RankingData) -> None:
        weight_I = data.popularity.clamp(min=1).double() ** config.beta
        self._unobserved = UnobservedItems(data, integer_weights(weight_I, data.num_users))

    def sample(
        self, encoded: Encoded, batch: PairBatch, num_negatives: int, *, generator: torch.Generator
    ) -> Tensor:
        return self._unobserved.draw(batch.user, num_negatives, generator=generator)
