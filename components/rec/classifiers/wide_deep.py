"""Wide & Deep (Cheng et al. 2016)."""

from typing import final

import torch
from torch import Tensor

from components.core.recipe.classification import WideAndDeep
from components.rec.classifiers.base import ClassifierModel, Network, Shape
from components.rec.mlp import Mlp, fully_connected


@final
class WideAndDeepNetwork(Network):
    """z = ⟨w, x⟩ + Wₒ MLP(E) + bₒ (eq. 3, without crossed features)."""

    linear = True

    def __init__(self, config: WideAndDeep, shape: Shape, *, generator: torch.Generator) -> None:
        super().__init__()
        self._shape = shape
        self.mlp = Mlp(config.mlp, shape.flat, generator=generator)
        self.output = fully_connected(self.mlp.outputs, shape.num_logits, generator=generator)

    def forward(self, rows_BFW: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        embedding_BFD, linear_BL = self._shape.split(rows_BFW)
        output_BL: Tensor = self.output(self.mlp(embedding_BFD.flatten(1), dropout))
        return linear_BL + output_BL


@final
class WideAndDeepModel(ClassifierModel):
    """A table under a `WideAndDeepNetwork`."""

    network_type = WideAndDeepNetwork
