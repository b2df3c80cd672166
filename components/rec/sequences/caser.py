"""Caser (Tang & Wang 2018)."""

from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, pad

from components.core.recipe.sequences import Caser
from components.rec.data import RankingData
from components.rec.drawing import uniform, xavier
from components.rec.mlp import drop
from components.rec.models.base import USER_AND_ITEM_ROWS
from components.rec.sequences.model import SequenceModel


@final
class CaserModel(SequenceModel):
    """Convolutions over a history as over a picture: across whole embeddings, of every height, the largest
    value of each; and along time. The user's own embedding is added to what they make, as in AMER's
    comparison, instead of put beside it, which takes item embeddings twice as wide."""

    rows = USER_AND_ITEM_ROWS

    def __init__(self, config: Caser, data: RankingData, *, generator: torch.Generator) -> None:
        super().__init__(config, data, generator=generator)
        self._rate = config.dropout
        length, dim = config.max_length, config.dim
        self.users = nn.Parameter(uniform((data.num_users, dim), 0.05, generator))
        self.horizontal = nn.ParameterList(
            nn.Parameter(xavier(height * dim, config.num_horizontal, generator))
            for height in range(1, length + 1)
        )
        self.horizontal_bias = nn.Parameter(torch.zeros(length, config.num_horizontal))
        self.vertical = nn.Parameter(xavier(length, config.num_vertical, generator))
        widths = length * config.num_horizontal + config.num_vertical * dim
        self.connected = nn.Parameter(xavier(widths, dim, generator))
        self.bias = nn.Parameter(torch.zeros(dim))

    def read(
        self, embedded_STK: Tensor, there_ST: Tensor, user_S: Tensor, dropout: torch.Generator | None
    ) -> Tensor:
        _, here, dim = embedded_STK.shape
        embedded_STK = pad(embedded_STK, (0, 0, len(self.horizontal) - here, 0))
        found = []
        for height, (weight, bias) in enumerate(
            zip(self.horizontal, self.horizontal_bias, strict=True), start=1
        ):
            filters_FKH = weight.reshape(height, dim, -1).permute(2, 1, 0)
            found.append(conv1d(embedded_STK.transpose(1, 2), filters_FKH, bias).relu().amax(dim=2))
        along_SVK = torch.einsum("stk,tv->svk", embedded_STK, self.vertical)
        joined = drop(torch.cat([*found, along_SVK.flatten(start_dim=1)], dim=1), self._rate, dropout)
        return (joined @ self.connected + self.bias).relu() + self.users[user_S]
