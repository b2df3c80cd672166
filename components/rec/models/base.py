"""What a ranking model offers to samplers, losses and rankings."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, final

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from components.compiled import available
from components.core.recipe.ranking import ModelConfig
from components.rec.data import PairBatch, RankingData
from components.rec.optimizers.base import Optimizer
from components.rec.optimizers.dense import DenseAdam
from components.rec.rows import RowModel, Side

USER_AND_ITEM_ROWS: Final[Mapping[str, Side]] = {"users": "user", "items": "item"}


@final
@dataclass(frozen=True)
class Tables:
    """All that a ranking needs; the score of (u, i) is `users[u] · items[i]`.

    Attributes:
        users, items: (U, D) and (I, D).
    """

    users: Tensor
    items: Tensor


@final
@dataclass(frozen=True)
class Pairs:
    """B users, each with K items, as a loss sees them.

    Attributes:
        score_BK: of each user with each of its items.
        user_l2_B, item_l2_BK: ½‖·‖² of the ego embeddings, those before any propagation.
    """

    score_BK: Tensor
    user_l2_B: Tensor
    item_l2_BK: Tensor


@final
@dataclass(frozen=True)
class HopPairs:
    """B users, each with K items, and what each of L hops of the graph has to do with it.

    Attributes:
        score_BKL: of each user with each item's embedding after l hops; they add up to the score.
        user_l2_B: ½‖·‖² of the users' ego embeddings.
        ego_BKD: of the items.
    """

    score_BKL: Tensor
    user_l2_B: Tensor
    ego_BKD: Tensor


class Encoded(ABC):
    """The model within one step. What is not asked for need not be computed."""

    @abstractmethod
    def pairs(self, user_B: Tensor, item_BK: Tensor) -> Pairs:
        """What a loss needs, with gradients that reach the model's parameters."""

    @abstractmethod
    def scores(self, user_B: Tensor, item_BK: Tensor) -> Tensor:
        """(B, K), without gradients: what a sampler looks at."""

    @abstractmethod
    def users(self, user_B: Tensor) -> Tensor:
        """(B, D), without gradients."""

    @abstractmethod
    def tables(self) -> Tables:
        """All users and items, without gradients."""


class HopEncoded(Encoded):
    """A model over a graph."""

    @abstractmethod
    def hop_pairs(self, user_B: Tensor, item_BK: Tensor) -> HopPairs:
        """With gradients that reach the model's parameters."""


class RankingModel(RowModel):
    """A model whose score is an inner product of encoded users and items."""

    @abstractmethod
    def encode(self, batch: PairBatch | None = None, dropout: torch.Generator | None = None) -> Encoded:
        """Begin a step; graph propagation and reading of histories happen here.

        Args:
            batch: the step's positives; None where there is no step. Only who reads histories looks at it.
            dropout: randomness of dropout while training; None means no dropout.
        """

    @torch.no_grad()
    def tables(self) -> Tables:
        """All users and items without dropout: what valid is ranked with."""
        return self.encode().tables()

    def published(self) -> Tables:
        """What test is ranked with, and what is served; the same, but for who reads histories."""
        return self.tables()

    def optimizer(self, learning_rate: float) -> Optimizer:
        """Adam in the form that suits the model's gradients. A model has one optimizer at a time."""
        return DenseAdam(self.parameters(), learning_rate)


class BuildModel(Protocol):
    """How a model is made from its config; `generator` (CPU) draws the initial weights."""

    def __call__(
        self, config: ModelConfig, data: RankingData, *, generator: torch.Generator
    ) -> RankingModel: ...


def normal_embedding(rows: int, dim: int, std: float, generator: torch.Generator) -> nn.Parameter:
    """(rows, dim) drawn from N(0, std²)."""
    return nn.Parameter(torch.randn(rows, dim, generator=generator) * std)


class PlainEncoded(Encoded):
    """Whole tables, in torch's own operations: on any device, and without compiled kernels.

    Args:
        tables: of scores.
        ego: the embeddings before any propagation; the same where there is none.
    """

    def __init__(self, tables: Tables, ego: Tables) -> None:
        self._tables, self._ego = tables, ego

    def pairs(self, user_B: Tensor, item_BK: Tensor) -> Pairs:
        user_BD, item_BKD = embedding(user_B, self._tables.users), embedding(item_BK, self._tables.items)
        score_BK = (item_BKD @ user_BD[:, :, None]).squeeze(2)
        if self._ego is not self._tables:
            user_BD, item_BKD = embedding(user_B, self._ego.users), embedding(item_BK, self._ego.items)
        return Pairs(score_BK, user_BD.square().sum(dim=-1) / 2, item_BKD.square().sum(dim=-1) / 2)

    @torch.no_grad()
    def scores(self, user_B: Tensor, item_BK: Tensor) -> Tensor:
        user_BD, item_BKD = embedding(user_B, self._tables.users), embedding(item_BK, self._tables.items)
        return (item_BKD @ user_BD[:, :, None]).squeeze(2)

    @torch.no_grad()
    def users(self, user_B: Tensor) -> Tensor:
        return embedding(user_B, self._tables.users)

    def tables(self) -> Tables:
        return Tables(self._tables.users.detach(), self._tables.items.detach())


@final
class PlainHopEncoded(PlainEncoded, HopEncoded):
    """The same of a model over a graph, which says how it parts scores into hops."""

    def __init__(self, tables: Tables, ego: Tables, hop_pairs: Callable[[Tensor, Tensor], HopPairs]) -> None:
        super().__init__(tables, ego)
        self._hop_pairs = hop_pairs

    def hop_pairs(self, user_B: Tensor, item_BK: Tensor) -> HopPairs:
        return self._hop_pairs(user_B, item_BK)


def takes_kernels(tensor: Tensor) -> bool:
    """Whether compiled kernels can be used with it."""
    return available() and tensor.device.type == "cpu"
