"""NextItNet (Yuan et al. 2019)."""

from typing import final

import torch
from torch import Tensor, nn

from components.core.recipe.sequences import NextItNet
from components.rec.data import RankingData
from components.rec.drawing import xavier
from components.rec.sequences.layers import Convolution, clear
from components.rec.sequences.model import SequenceModel


@final
class NextItNetModel(SequenceModel):
    """Residual dilated convolutions that look back alone; the last state. A block has one convolution, as the
    five of AMER's comparison ask for, where the authors' has two."""

    def __init__(self, config: NextItNet, data: RankingData, *, generator: torch.Generator) -> None:
        super().__init__(config, data, generator=generator)
        self.layers = nn.ModuleList(
            Convolution(config.dim, (-2 * dilation, -dilation, 0), generator=generator)
            for dilation in config.dilations
        )
        self.norms = nn.ModuleList(nn.LayerNorm(config.dim) for _ in config.dilations)
        self.output = nn.Parameter(xavier(config.dim, config.dim, generator))

    def read(
        self, embedded_STK: Tensor, there_ST: Tensor, user_S: Tensor, dropout: torch.Generator | None
    ) -> Tensor:
        state_STK = embedded_STK
        for layer, norm in zip(self.layers, self.norms, strict=True):
            state_STK = clear(state_STK + norm(layer(state_STK, there_ST)).relu(), there_ST)
        return state_STK[:, -1] @ self.output
