"""An MLP over embeddings (Covington et al. 2016)."""

from typing import final

import torch
from torch import Tensor

from components.core.recipe.classification import Dnn
from components.rec.classifiers.base import ClassifierModel, Network, Shape
from components.rec.mlp import Mlp, fully_connected


@final
class DnnNetwork(Network):
    """z = Wₒ MLP(E) + bₒ (AMER eq. 11)."""

    linear = False

    def __init__(self, config: Dnn, shape: Shape, *, generator: torch.Generator) -> None:
        super().__init__()
        self.mlp = Mlp(config.mlp, shape.flat, generator=generator)
        self.output = fully_connected(self.mlp.outputs, shape.num_logits, generator=generator)

    def forward(self, rows_BFW: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        logit_BL: Tensor = self.output(self.mlp(rows_BFW.flatten(1), dropout))
        return logit_BL


@final
class DnnModel(ClassifierModel):
    """A table under a `DnnNetwork`."""

    network_type = DnnNetwork
