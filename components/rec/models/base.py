"""What a ranking model offers to samplers, losses and rankings."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, Protocol, final

import torch
from torch import Tensor, nn

from components.core.recipe.training import ModelConfig
from components.rec.data import RankingData

Side = Literal["user", "item"]
USER_AND_ITEM_ROWS: Final[Mapping[str, Side]] = {"users": "user", "items": "item"}


@final
@dataclass(frozen=True)
class Encoded:
    """The tables that scores are made of; the score of (u, i) is `users[u] · items[i]`.

    Attributes:
        users, items: (U, D) and (I, D).
        ego_users, ego_items: the embeddings before any propagation, which L2 regularisation acts on;
            the same tensors where there is none.
    """

    users: Tensor
    items: Tensor
    ego_users: Tensor
    ego_items: Tensor

    def detach(self) -> "Encoded":
        """Without gradients: what samplers look at."""
        return Encoded(
            self.users.detach(), self.items.detach(), self.ego_users.detach(), self.ego_items.detach()
        )


class RankingModel(nn.Module, ABC):
    """A model whose score is an inner product of encoded users and items.

    Attributes:
        rows: the tensors that have a row for each user or each item, in the order of the dense ids. The
            shape of every other tensor must not depend on the data.
    """

    rows: ClassVar[Mapping[str, Side]]

    @abstractmethod
    def encode(self, dropout: torch.Generator | None = None) -> Encoded:
        """All users and items. Called once a step: graph propagation happens here.

        Args:
            dropout: randomness of dropout while training; None means no dropout.
        """


class BuildModel(Protocol):
    """How a model is made from its config; `generator` (CPU) draws the initial weights."""

    def __call__(
        self, config: ModelConfig, data: RankingData, *, generator: torch.Generator
    ) -> RankingModel: ...


def normal_embedding(rows: int, dim: int, std: float, generator: torch.Generator) -> nn.Parameter:
    """(rows, dim) drawn from N(0, std²)."""
    return nn.Parameter(torch.randn(rows, dim, generator=generator) * std)
