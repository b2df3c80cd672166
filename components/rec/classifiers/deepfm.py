"""DeepFM (Guo et al. 2017)."""

from itertools import combinations
from typing import final

import torch
from torch import Tensor, nn

from components.core.recipe.classification import DeepFm
from components.rec.classifiers.base import ClassifierModel, Network, Shape
from components.rec.classifiers.interactions import HadamardProducts, product_sum
from components.rec.mlp import Mlp, fully_connected


class DeepFmNetwork(Network):
    """z = ⟨w, x⟩ + Wₒ [Σ over i < j of ⟨eᵢ, eⱼ⟩ ; MLP(E)] + bₒ (AutoLoss eq. 4 and 6).

    Of two classes the second-order term begins with weight 1, so with DeepFM's own sum (eq. 1 there). Of
    several it has a weight for each class: one and the same would cancel in a softmax. Where interactions are
    given, their sum stands in the place of that of all pairs (AMER, Table 3), and where they are weighted, it
    is Σ αₘ pₘ (AutoFIS, Liu et al. 2020, eq. 5).

    Attributes:
        weight_M: α, where products are weighted.
    """

    weight_M: nn.Parameter | None

    linear = True

    def __init__(self, config: DeepFm, shape: Shape, *, generator: torch.Generator) -> None:
        super().__init__()
        self._shape = shape
        chosen = config.interactions
        if chosen is None and config.weighted:
            chosen = tuple(combinations(shape.names, 2))
        self.products = None if chosen is None else HadamardProducts(chosen, shape.names)
        self.weight_M = nn.Parameter(torch.ones(len(chosen or ()))) if config.weighted else None
        self.mlp = Mlp(config.mlp, shape.flat, generator=generator)
        self.output = fully_connected(1 + self.mlp.outputs, shape.num_logits, generator=generator)
        if shape.num_logits == 1:
            self.output.weight.data[:, 0] = 1

    def forward(self, rows_BFW: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        embedding_BFD, _ = self._shape.split(rows_BFW)
        if self.products is None:
            second_B1 = product_sum(embedding_BFD).sum(dim=1, keepdim=True)
        else:
            product_BM = self.products(embedding_BFD).sum(dim=2)
            weighted_BM = product_BM if self.weight_M is None else product_BM * self.weight_M
            second_B1 = weighted_BM.sum(dim=1, keepdim=True)
        return self.answer(rows_BFW, second_B1, dropout)

    def answer(self, rows_BFW: Tensor, second_B1: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        """(B, L) logits with a given second-order term."""
        embedding_BFD, linear_BL = self._shape.split(rows_BFW)
        hidden_BH = self.mlp(embedding_BFD.flatten(1), dropout)
        output_BL: Tensor = self.output(torch.cat([second_B1, hidden_BH], dim=1))
        return linear_BL + output_BL


@final
class DeepFmModel(ClassifierModel):
    """A table under a `DeepFmNetwork`."""

    network_type = DeepFmNetwork
