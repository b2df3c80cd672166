"""RNS: random negative sampling (Rendle et al. 2009)."""

from typing import final

import torch
from torch import Tensor

from components.core.recipe.ranking import UniformSampler
from components.rec.data import PairBatch, RankingData
from components.rec.models.base import Encoded
from components.rec.samplers.base import Sampler
from components.rec.samplers.unobserved import UnobservedItems


@final
class Uniform(Sampler):
    """p_u(j) = 1 / |I − I_u|."""

    def __init__(self, config: UniformSampler, data: RankingData) -> None:
        del config  # nothing to choose
        self._unobserved = UnobservedItems(data, torch.ones_like(data.popularity))

    def sample(
        self, encoded: Encoded, batch: PairBatch, num_negatives: int, *, generator: torch.Generator
    ) -> Tensor:
        return self._unobserved.draw(batch.user, num_negatives, generator=generator)
