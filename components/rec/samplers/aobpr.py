"""AOBPR: adaptive oversampling (Rendle & Freudenthaler 2014)."""

from collections.abc import Mapping
from functools import partial
from typing import final

import torch
from torch import Tensor

from components.core.recipe.ranking import AobprSampler
from components.rec.data import PairBatch, RankingData
from components.rec.models.base import Encoded
from components.rec.samplers.base import Sampler, require_negatives
from components.rec.samplers.exact_ranks import ExactRanks
from components.rec.samplers.factor_ranks import FactorRanks
from components.rec.samplers.ranks import Ranks


@final
class AdaptiveOversampling(Sampler):
    """p_u(j) ∝ exp(−rank_u(j) / λ), where rank counts the unobserved items that score higher. λ = 0 is the
    argmax of AutoSample's Appendix B.3."""

    def __init__(self, config: AobprSampler, data: RankingData) -> None:
        require_negatives(data)
        self._lambda = config.lambda_
        self._num_items = data.num_items
        self._num_seen = data.train.counts
        exact = config.ranks == "exact"
        self._ranks: Ranks = ExactRanks(config.kept, data) if exact else FactorRanks(config.refresh, data)

    @torch.no_grad()
    def sample(
        self, encoded: Encoded, batch: PairBatch, num_negatives: int, *, generator: torch.Generator
    ) -> Tensor:
        draw_ranks = partial(self._draw_ranks, generator=generator)
        return self._ranks.draw(encoded, batch.user, num_negatives, draw_ranks, generator=generator)

    def state(self) -> dict[str, Tensor]:
        return self._ranks.state()

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self._ranks.load_state(state)

    def _draw_ranks(self, user_B: Tensor, count: int, generator: torch.Generator) -> Tensor:
        """(B, N) ranks from the geometric law, cut off at each user's number of unobserved items n:
        r = ⌊−λ ln(1 − x (1 − exp(−n / λ)))⌋ for x uniform in [0, 1)."""
        shape = (len(user_B), count)
        if self._lambda == 0:
            return torch.zeros(shape, dtype=torch.int64, device=user_B.device)
        free_B1 = (self._num_items - self._num_seen[user_B])[:, None]
        x = torch.rand(shape, generator=generator, device=user_B.device, dtype=torch.float64)
        mass = -torch.expm1(-free_B1 / self._lambda)
        rank = (-self._lambda * torch.log1p(-x * mass)).long()
        return torch.minimum(rank, free_B1 - 1)
