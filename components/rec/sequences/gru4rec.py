"""GRU4Rec (Hidasi et al. 2016)."""

from typing import final

import torch
from torch import Tensor, nn

from components.core.recipe.sequences import Gru4Rec
from components.rec.data import RankingData
from components.rec.drawing import xavier
from components.rec.sequences.layers import Recurrence
from components.rec.sequences.model import SequenceModel


@final
class Gru4RecModel(SequenceModel):
    """The last state of a GRU. Departures: sessions are not joined to long sequences, each history is read
    by itself; the loss is the recipe's."""

    def __init__(self, config: Gru4Rec, data: RankingData, *, generator: torch.Generator) -> None:
        super().__init__(config, data, generator=generator)
        self.layers = nn.ModuleList(
            Recurrence(config.dim, both=False, generator=generator) for _ in range(config.num_layers)
        )
        self.output = nn.Parameter(xavier(config.dim, config.dim, generator))

    def read(
        self, embedded_STK: Tensor, there_ST: Tensor, user_S: Tensor, dropout: torch.Generator | None
    ) -> Tensor:
        state_STK = embedded_STK
        for layer in self.layers:
            state_STK = layer(state_STK, there_ST) * there_ST[:, :, None]
        return state_STK[:, -1] @ self.output
