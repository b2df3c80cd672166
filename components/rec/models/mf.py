"""Matrix factorisation (Rendle et al. 2009)."""

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from components.core.recipe.ranking import MatrixFactorization
from components.rec.data import PairBatch, RankingData
from components.rec.models.base import (
    USER_AND_ITEM_ROWS,
    Encoded,
    Pairs,
    PlainEncoded,
    RankingModel,
    Tables,
    normal_embedding,
    takes_kernels,
)
from components.rec.optimizers.base import Optimizer
from components.rec.optimizers.deferred import DeferredAdam
from components.rec.scores import half_squares, item_gradient, pair_scores, user_gradient


@final
class MatrixFactorizationModel(RankingModel):
    """One embedding per user and item. With kernels its gradients are sparse, and Adam is deferred."""

    rows = USER_AND_ITEM_ROWS

    def __init__(self, config: MatrixFactorization, data: RankingData, *, generator: torch.Generator) -> None:
        super().__init__()
        self.users = normal_embedding(data.num_users, config.dim, config.init_std, generator)
        self.items = normal_embedding(data.num_items, config.dim, config.init_std, generator)
        self._deferred: DeferredAdam | None = None

    def encode(self, batch: PairBatch | None = None, dropout: torch.Generator | None = None) -> Encoded:
        if self._deferred is not None:
            return _RowsEncoded(self.users, self.items, self._deferred)
        tables = Tables(self.users, self.items)
        return PlainEncoded(tables, tables)

    def optimizer(self, learning_rate: float) -> Optimizer:
        if not takes_kernels(self.users):
            return super().optimizer(learning_rate)
        self._deferred = DeferredAdam({"users": self.users, "items": self.items}, learning_rate)
        return self._deferred


@final
class _RowsEncoded(Encoded):
    """The rows that are asked for, brought up to date first."""

    def __init__(self, users: nn.Parameter, items: nn.Parameter, deferred: DeferredAdam) -> None:
        self._users, self._items, self._deferred = users, items, deferred

    def pairs(self, user_B: Tensor, item_BK: Tensor) -> Pairs:
        self._catch_up(user_B, item_BK)
        apply: Callable[..., tuple[Tensor, Tensor, Tensor]] = _RowPairs.apply
        return Pairs(*apply(self._users, self._items, user_B, item_BK))

    @torch.no_grad()
    def scores(self, user_B: Tensor, item_BK: Tensor) -> Tensor:
        self._catch_up(user_B, item_BK)
        return pair_scores(self._users.detach(), self._items.detach(), user_B, item_BK)

    @torch.no_grad()
    def users(self, user_B: Tensor) -> Tensor:
        self._deferred.catch_up("users", user_B)
        return embedding(user_B, self._users)

    def tables(self) -> Tables:
        self._deferred.settle()
        return Tables(self._users.detach(), self._items.detach())

    def _catch_up(self, user_B: Tensor, item_BK: Tensor) -> None:
        self._deferred.catch_up("users", user_B)
        self._deferred.catch_up("items", item_BK)


class _RowPairs(torch.autograd.Function):
    """Scores and half squares of rows; the gradients are sparse, one entry for each row."""

    @staticmethod
    def forward(
        context: Any, users: Tensor, items: Tensor, user_B: Tensor, item_BK: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        context.save_for_backward(users, items, user_B, item_BK)
        score_BK = pair_scores(users.detach(), items.detach(), user_B, item_BK)
        return score_BK, half_squares(users.detach(), user_B), half_squares(items.detach(), item_BK)

    @staticmethod
    def backward(
        context: Any, score_BK: Tensor, user_l2_B: Tensor, item_l2_BK: Tensor
    ) -> tuple[Tensor, Tensor, None, None]:
        users, items, user_B, item_BK = context.saved_tensors
        users, items = users.detach(), items.detach()
        of_users = user_gradient(items, user_B, item_BK, score_BK, user_l2_B)
        of_items = item_gradient(users, user_B, item_BK, score_BK, item_l2_BK)
        return of_users.whole(users), of_items.whole(items), None, None
