"""AOBPR: adaptive oversampling (Rendle & Freudenthaler 2014)."""

from collections.abc import Mapping
from typing import Protocol, final

import torch
from torch import Tensor

from components.core.recipe.training import AobprSampler
from components.rec.data import RankingData
from components.rec.models.base import Encoded, Tables
from components.rec.samplers.base import Sampler, require_negatives
from components.rec.samplers.factor_ranks import FactorRanks

_BLOCK_USERS = 64  # one block of scores fits a CPU cache


class Ranks(Protocol):
    """Which item stands at a rank."""

    def at(self, encoded: Encoded, user_B: Tensor, rank_BN: Tensor, *, generator: torch.Generator) -> Tensor:
        """(B, N) unobserved items."""

    def state(self) -> dict[str, Tensor]: ...

    def load_state(self, state: Mapping[str, Tensor]) -> None: ...


@final
class AdaptiveOversampling(Sampler):
    """p_u(j) ∝ exp(−rank_u(j) / λ), where rank counts the unobserved items that score higher."""

    def __init__(self, config: AobprSampler, data: RankingData) -> None:
        require_negatives(data)
        self._lambda = config.lambda_
        self._num_items = data.num_items
        self._num_seen = data.train.counts
        self._ranks: Ranks = (
            ExactRanks(data) if config.ranks == "exact" else FactorRanks(config.refresh, data)
        )

    @torch.no_grad()
    def sample(
        self, encoded: Encoded, user_B: Tensor, num_negatives: int, *, generator: torch.Generator
    ) -> Tensor:
        rank_BN = self._draw_ranks(user_B, num_negatives, generator)
        return self._ranks.at(encoded, user_B, rank_BN, generator=generator)

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


@final
class ExactRanks:
    """Every unobserved item of the batch's users is scored and ranked, at every step. λ = 0 is the argmax
    of AutoSample's Appendix B.3."""

    def __init__(self, data: RankingData) -> None:
        self._train = data.train

    def at(self, encoded: Encoded, user_B: Tensor, rank_BN: Tensor, *, generator: torch.Generator) -> Tensor:
        del generator  # nothing to choose
        blocks = zip(torch.split(user_B, _BLOCK_USERS), torch.split(rank_BN, _BLOCK_USERS), strict=True)
        tables = encoded.tables()
        return torch.cat([self._at(tables, users, ranks) for users, ranks in blocks])

    def state(self) -> dict[str, Tensor]:
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        del state  # there is none

    def _at(self, tables: Tables, user_B: Tensor, rank_BN: Tensor) -> Tensor:
        score_BI = tables.users[user_B] @ tables.items.T
        seen = self._train.select(user_B)
        score_BI[seen.rows, seen.values] = -torch.inf
        deepest = int(rank_BN.max()) + 1
        if deepest == 1:
            return score_BI.argmax(dim=1, keepdim=True).expand_as(rank_BN)
        return score_BI.topk(deepest, dim=1).indices.gather(1, rank_BN)
