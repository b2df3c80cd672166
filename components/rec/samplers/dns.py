"""DNS: dynamic negative sampling (Zhang et al. 2013)."""

from typing import final

import torch
from torch import Tensor

from components.core.recipe.ranking import DnsSampler
from components.rec.data import PairBatch, RankingData
from components.rec.models.base import Encoded
from components.rec.samplers.base import Sampler
from components.rec.samplers.unobserved import UnobservedItems


@final
class DynamicNegative(Sampler):
    """The highest-scored of M unobserved items drawn uniformly, with replacement: the local rank of
    AutoSample's Table 2 in its limit λ → 0, as its Appendix B.3 describes it."""

    def __init__(self, config: DnsSampler, data: RankingData) -> None:
        self._pool_size = config.pool_size
        self._unobserved = UnobservedItems(data, torch.ones_like(data.popularity))

    @torch.no_grad()
    def sample(
        self, encoded: Encoded, batch: PairBatch, num_negatives: int, *, generator: torch.Generator
    ) -> Tensor:
        pool_BC = self._unobserved.draw(batch.user, num_negatives * self._pool_size, generator=generator)
        score_BC = encoded.scores(batch.user, pool_BC)
        shape = (len(batch), num_negatives, self._pool_size)
        best_BN1 = score_BC.reshape(shape).argmax(dim=2, keepdim=True)
        return pool_BC.reshape(shape).gather(2, best_BN1).squeeze(2)
