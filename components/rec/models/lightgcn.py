"""LightGCN (He et al. 2020)."""

from typing import final

import torch

from components.core.recipe.training import LightGcn
from components.rec.data import RankingData
from components.rec.models.base import (
    USER_AND_ITEM_ROWS,
    Encoded,
    PlainEncoded,
    RankingModel,
    Tables,
    normal_embedding,
)
from components.rec.models.propagation import NormalizedGraph


@final
class LightGcnModel(RankingModel):
    """The mean of 0 … L hops over the normalised graph (eq. 3 and 4, with 1 / (L + 1) for each layer)."""

    rows = USER_AND_ITEM_ROWS

    def __init__(self, config: LightGcn, data: RankingData, *, generator: torch.Generator) -> None:
        super().__init__()
        self.users = normal_embedding(data.num_users, config.dim, config.init_std, generator)
        self.items = normal_embedding(data.num_items, config.dim, config.init_std, generator)
        self._num_layers = config.num_layers
        self._graph = NormalizedGraph(data)

    def encode(self, dropout: torch.Generator | None = None) -> Encoded:
        ego_ND = torch.cat([self.users, self.items])
        sum_ND = ego_ND
        for _ in range(self._num_layers):  # Horner: E + Â(E + Â(E + …)), one live table instead of L
            sum_ND = ego_ND + self._graph.propagate(sum_ND)
        mean_ND = sum_ND / (self._num_layers + 1)
        users, items = torch.split(mean_ND, [len(self.users), len(self.items)])
        return PlainEncoded(Tables(users, items), Tables(self.users, self.items))
