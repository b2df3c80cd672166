"""What models that read histories have in common."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar, Final, final

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from components.core.recipe.sequences import AnySequenceModel
from components.rec.data import PairBatch, RankingData
from components.rec.drawing import uniform
from components.rec.mlp import drop
from components.rec.models.base import Encoded, Pairs, PlainEncoded, RankingModel, Tables
from components.rec.rows import Side
from components.rec.sequences.histories import NONE, Upto, last_items, of_like_length, put_back

_AT_ONCE: Final = 4096  # histories that are read at a time where all are
_SPREAD: Final = 0.05  # of initial embeddings, uniform (AMER §3.2)


class SequenceModel(RankingModel):
    """A user's vector is made of the last items before the one that is asked for; the score of an item is
    the inner product with its embedding (AMER eq. 7).

    Attributes:
        items: (I, K).
        max_length: of what is read of a history.
        dropout: share of the input that is dropped in training.
    """

    rows: ClassVar[Mapping[str, Side]] = MappingProxyType({"items": "item"})

    def __init__(self, config: AnySequenceModel, data: RankingData, *, generator: torch.Generator) -> None:
        super().__init__()
        self.items = nn.Parameter(uniform((data.num_items, config.dim), _SPREAD, generator))
        self.max_length = config.max_length
        self.dropout = config.dropout
        self._histories = data.in_time

    @abstractmethod
    def read(
        self, embedded_STK: Tensor, there_ST: Tensor, user_S: Tensor, dropout: torch.Generator | None
    ) -> Tensor:
        """(S, K) a vector for each history.

        Args:
            embedded_STK: of its items, the last one at place T − 1; zero where it has none. T is at most
                `max_length`, and what is read does not depend on how much of it is empty.
            there_ST: where it has one; at the last place always.
            user_S: whose they are.
            dropout: randomness of dropout while training; None means no dropout.
        """

    def vectors(self, item_ST: Tensor, user_S: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        """(S, K) of some histories; `NONE` stands in front of shorter ones."""
        groups = of_like_length(item_ST)
        found = []
        for group in groups:
            embedded_GTK, there_GT = self.embedded(group.item_GT)
            embedded_GTK = drop(embedded_GTK, self.dropout, dropout)
            found.append(self.read(embedded_GTK, there_GT, user_S[group.place_G], dropout))
        return put_back(groups, found)

    def embedded(self, item_ST: Tensor) -> tuple[Tensor, Tensor]:
        """(S, T, K) the items' embeddings, zero where there is none, and (S, T) where there is one."""
        there_ST = item_ST != NONE
        return embedding(item_ST.clamp(min=0), self.items) * there_ST[:, :, None], there_ST

    def encode(self, batch: PairBatch | None = None, dropout: torch.Generator | None = None) -> Encoded:
        if batch is None:
            tables = self._all("train")
            return PlainEncoded(tables, tables)
        assert batch.past is not None
        user_S = batch.past.user_S
        vector_SK = self.vectors(batch.past.item_ST, user_S, dropout)
        return SequenceEncoded(vector_SK, user_S, self.items, lambda: self._all("train"))

    @torch.no_grad()
    def published(self) -> Tables:
        """After everything that is known: train and valid."""
        return self._all("valid")

    @torch.no_grad()
    def _all(self, upto: Upto) -> Tables:
        history = self._histories.upto(upto)
        vectors = []
        for start in range(0, history.num_rows, _AT_ONCE):
            user_S = torch.arange(start, min(start + _AT_ONCE, history.num_rows), device=self.items.device)
            item_ST = last_items(history, user_S, history.counts[user_S], self.max_length)
            vectors.append(self.vectors(item_ST, user_S))
        return Tables(torch.cat(vectors), self.items.detach())


@final
class SequenceEncoded(Encoded):
    """The vectors of a batch's histories.

    Args:
        user_S: whose they are, ascending.
        all_tables: makes the vectors of all users, for who needs them.
    """

    def __init__(
        self, vector_SK: Tensor, user_S: Tensor, items: Tensor, all_tables: Callable[[], Tables]
    ) -> None:
        self._vector_SK, self._user_S, self._items, self._all_tables = vector_SK, user_S, items, all_tables

    def pairs(self, user_B: Tensor, item_BK: Tensor) -> Pairs:
        """L2 acts on the items' embeddings alone: a user has none."""
        item_BKD = embedding(item_BK, self._items)
        score_BK = (item_BKD @ self._vectors(user_B)[:, :, None]).squeeze(2)
        return Pairs(score_BK, torch.zeros_like(score_BK[:, 0]), item_BKD.square().sum(dim=-1) / 2)

    @torch.no_grad()
    def scores(self, user_B: Tensor, item_BK: Tensor) -> Tensor:
        return (embedding(item_BK, self._items) @ self._vectors(user_B)[:, :, None]).squeeze(2)

    @torch.no_grad()
    def users(self, user_B: Tensor) -> Tensor:
        return self._vectors(user_B)

    def tables(self) -> Tables:
        return self._all_tables()

    def _vectors(self, user_B: Tensor) -> Tensor:
        return self._vector_SK[torch.searchsorted(self._user_S, user_B)]
