"""DCN (Wang et al. 2017)."""

from typing import final

import torch
from torch import Tensor, nn

from components.core.recipe.classification import Dcn
from components.rec.classifiers.base import ClassifierModel, Network, Shape
from components.rec.mlp import Mlp, fully_connected


@final
class DcnNetwork(Network):
    """z = Wₒ [x_L ; MLP(x₀)] + bₒ, with x₀ = E and xₗ₊₁ = x₀ ⟨xₗ, wₗ⟩ + bₗ + xₗ (eq. 3 and 6)."""

    linear = False

    def __init__(self, config: Dcn, shape: Shape, *, generator: torch.Generator) -> None:
        super().__init__()
        layers = range(config.num_layers)
        self.slopes = nn.ModuleList(
            fully_connected(shape.flat, 1, generator=generator, bias=False) for _ in layers
        )
        self.biases = nn.ParameterList(torch.zeros(shape.flat) for _ in layers)
        self.mlp = Mlp(config.mlp, shape.flat, generator=generator)
        self.output = fully_connected(shape.flat + self.mlp.outputs, shape.num_logits, generator=generator)

    def forward(self, rows_BFW: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        first_BX = crossed_BX = rows_BFW.flatten(1)
        for slope, bias_X in zip(self.slopes, self.biases, strict=True):
            crossed_BX = first_BX * slope(crossed_BX) + bias_X + crossed_BX
        hidden_BH = self.mlp(first_BX, dropout)
        logit_BL: Tensor = self.output(torch.cat([crossed_BX, hidden_BH], dim=1))
        return logit_BL


@final
class DcnModel(ClassifierModel):
    """A table under a `DcnNetwork`."""

    network_type = DcnNetwork
