"""DeepFM (Guo et al. 2017)."""

from typing import final

import torch
from torch import Tensor

from components.core.recipe.classification import DeepFm
from components.rec.classifiers.base import ClassifierModel, Network, Shape
from components.rec.classifiers.interactions import HadamardProducts, product_sum
from components.rec.mlp import Mlp, fully_connected


@final
class DeepFmNetwork(Network):
    """z = ⟨w, x⟩ + Wₒ [Σ over i < j of ⟨eᵢ, eⱼ⟩ ; MLP(E)] + bₒ (AutoLoss eq. 4 and 6).

    Of two classes the second-order term begins with weight 1, so with DeepFM's own sum (eq. 1 there). Of
    several it has a weight for each class: one and the same would cancel in a softmax. Where interactions are
    given, their sum stands in the place of that of all pairs (AMER, Table 3).
    """

    linear = True

    def __init__(self, config: DeepFm, shape: Shape, *, generator: torch.Generator) -> None:
        super().__init__()
        self._shape = shape
        self.products = (
            None if config.interactions is None else HadamardProducts(config.interactions, shape.names)
        )
        self.mlp = Mlp(config.mlp, shape.flat, generator=generator)
        self.output = fully_connected(1 + self.mlp.outputs, shape.num_logits, generator=generator)
        if shape.num_logits == 1:
            self.output.weight.data[:, 0] = 1

    def forward(self, rows_BFW: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        embedding_BFD, linear_BL = self._shape.split(rows_BFW)
        if self.products is None:
            second_B1 = product_sum(embedding_BFD).sum(dim=1, keepdim=True)
        else:
            second_B1 = self.products(embedding_BFD).sum(dim=(1, 2))[:, None]
        hidden_BH = self.mlp(embedding_BFD.flatten(1), dropout)
        output_BL: Tensor = self.output(torch.cat([second_B1, hidden_BH], dim=1))
        return linear_BL + output_BL


@final
class DeepFmModel(ClassifierModel):
    """A table under a `DeepFmNetwork`."""

    network_type = DeepFmNetwork
