"""Matrix factorisation (Rendle et al. 2009)."""

from typing import final

import torch

from components.core.recipe.training import MatrixFactorization
from components.rec.data import RankingData
from components.rec.models.base import USER_AND_ITEM_ROWS, Encoded, RankingModel, normal_embedding


@final
class MatrixFactorizationModel(RankingModel):
    """One embedding per user and item."""

    rows = USER_AND_ITEM_ROWS

    def __init__(self, config: MatrixFactorization, data: RankingData, *, generator: torch.Generator) -> None:
        super().__init__()
        self.users = normal_embedding(data.num_users, config.dim, config.init_std, generator)
        self.items = normal_embedding(data.num_items, config.dim, config.init_std, generator)

    def encode(self, dropout: torch.Generator | None = None) -> Encoded:
        return Encoded(self.users, self.items, self.users, self.items)
