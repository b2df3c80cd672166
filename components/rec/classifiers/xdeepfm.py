"""xDeepFM (Lian et al. 2018)."""

from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn

from components.core.recipe.classification import XDeepFm
from components.rec.classifiers.base import ClassifierModel, Network, Shape
from components.rec.mlp import Mlp, draw, fully_connected


@final
class XDeepFmNetwork(Network):
    """z = ⟨w, x⟩ + Wₒ [p¹ ; … ; pᵀ ; MLP(E)] + bₒ (eq. 9), pᵗ being the sums of the feature maps of layer t.

    Layer t of the compressed interaction network (eq. 6): Xᵗₖ = ReLU(Σ over i, j of Wᵗₖᵢⱼ Xᵗ⁻¹ᵢ ⊙ X⁰ⱼ), with
    X⁰ = E. The ReLU is AutoLoss's library's; the paper has the identity.
    """

    linear = True

    def __init__(self, config: XDeepFm, shape: Shape, *, generator: torch.Generator) -> None:
        super().__init__()
        self._shape = shape
        widths = (shape.num_fields, *config.cross_layers)
        self.cross = nn.ParameterList(
            torch.empty(outputs, inputs, shape.num_fields) for inputs, outputs in pairwise(widths)
        )
        for weight_KIF in self.cross:
            draw(weight_KIF, weight_KIF[0].numel(), generator)
        self.mlp = Mlp(config.mlp, shape.flat, generator=generator)
        inputs = sum(config.cross_layers) + self.mlp.outputs
        self.output = fully_connected(inputs, shape.num_logits, generator=generator)

    def forward(self, rows_BFW: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        embedding_BFD, linear_BL = self._shape.split(rows_BFW)
        hidden_BH = self.mlp(embedding_BFD.flatten(1), dropout)
        output_BL: Tensor = self.output(torch.cat([*self._sums(embedding_BFD), hidden_BH], dim=1))
        return linear_BL + output_BL

    def _sums(self, embedding_BFD: Tensor) -> list[Tensor]:
        """For each layer (B, K)."""
        first_BDF = map_BDI = embedding_BFD.transpose(1, 2)
        sums = []
        for weight_KIF in self.cross:
            # fields first: B × D × K × I numbers, and not B × D × I × F
            mixed_BDKI = (first_BDF @ weight_KIF.flatten(0, 1).T).unflatten(2, weight_KIF.shape[:2])
            map_BDI = (mixed_BDKI * map_BDI[:, :, None]).sum(dim=3).relu()
            sums.append(map_BDI.sum(dim=1))
        return sums


@final
class XDeepFmModel(ClassifierModel):
    """A table under a `XDeepFmNetwork`."""

    network_type = XDeepFmNetwork
