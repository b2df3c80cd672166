"""AOBPR: adaptive oversampling (Rendle & Freudenthaler 2014)."""

from typing import final

import torch
from torch import Tensor

from components.core.recipe.training import AobprSampler
from components.rec.data import RankingData
from components.rec.models.base import Encoded, Tables
from components.rec.samplers.base import Sampler, require_negatives

_BLOCK_USERS = 64  # one block of scores fits a CPU cache


@final
class AdaptiveOversampling(Sampler):
    """p_u(j) ∝ exp(−rank_u(j) / λ), where rank counts the unobserved items that score higher.

    Exact: every unobserved item of the batch's users is scored and ranked. λ = 0 is the argmax of
    AutoSample's Appendix B.3.
    """

    def __init__(self, config: AobprSampler, data: RankingData) -> None:
        require_negatives(data)
        self._lambda = config.lambda_
        self._train = data.train
        self._num_items = data.num_items

    @torch.no_grad()
    def sample(
        self, encoded: Encoded, user_B: Tensor, num_negatives: int, *, generator: torch.Generator
    ) -> Tensor:
        rank_BN = self._draw_ranks(user_B, num_negatives, generator)
        blocks = zip(torch.split(user_B, _BLOCK_USERS), torch.split(rank_BN, _BLOCK_USERS), strict=True)
        tables = encoded.tables()
        return torch.cat([self._at_ranks(tables, users, ranks) for users, ranks in blocks])

    def _draw_ranks(self, user_B: Tensor, count: int, generator: torch.Generator) -> Tensor:
        """(B, N) ranks from the geometric law, cut off at each user's number of unobserved items n:
        r = ⌊−λ ln(1 − x (1 − exp(−n / λ)))⌋ for x uniform in [0, 1)."""
        shape = (len(user_B), count)
        if self._lambda == 0:
            return torch.zeros(shape, dtype=torch.int64, device=user_B.device)
        free_B1 = (self._num_items - self._train.counts[user_B])[:, None]
        x = torch.rand(shape, generator=generator, device=user_B.device, dtype=torch.float64)
        mass = -torch.expm1(-free_B1 / self._lambda)
        rank = (-self._lambda * torch.log1p(-x * mass)).long()
        return torch.minimum(rank, free_B1 - 1)

    def _at_ranks(self, tables: Tables, user_B: Tensor, rank_BN: Tensor) -> Tensor:
        score_BI = tables.users[user_B] @ tables.items.T
        seen = self._train.select(user_B)
        score_BI[seen.rows, seen.values] = -torch.inf
        deepest = int(rank_BN.max()) + 1
        if deepest == 1:
            return score_BI.argmax(dim=1, keepdim=True).expand_as(rank_BN)
        return score_BI.topk(deepest, dim=1).indices.gather(1, rank_BN)
