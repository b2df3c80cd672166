"""NFM (He & Chua 2017)."""

from typing import final

import torch
from torch import Tensor

from components.core.recipe.classification import Nfm
from components.rec.classifiers.base import ClassifierModel, Network, Shape
from components.rec.classifiers.interactions import product_sum
from components.rec.mlp import Mlp, batch_norm, drop, fully_connected


@final
class NfmNetwork(Network):
    """z = ⟨w, x⟩ + Wₒ MLP(Σ over i < j of eᵢ ⊙ eⱼ) + bₒ (eq. 3 and 8).

    The sum, too, is normalised over the batch and dropped out, as the MLP's layers are (§3.3 there).
    """

    linear = True

    def __init__(self, config: Nfm, shape: Shape, *, generator: torch.Generator) -> None:
        super().__init__()
        self._shape, self._dropout = shape, config.mlp.dropout
        self.norm = batch_norm(config.mlp, shape.dim)
        self.mlp = Mlp(config.mlp, shape.dim, generator=generator)
        self.output = fully_connected(self.mlp.outputs, shape.num_logits, generator=generator)

    def forward(self, rows_BFW: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        embedding_BFD, linear_BL = self._shape.split(rows_BFW)
        product_BD = drop(self.norm(product_sum(embedding_BFD)), self._dropout, dropout)
        output_BL: Tensor = self.output(self.mlp(product_BD, dropout))
        return linear_BL + output_BL


@final
class NfmModel(ClassifierModel):
    """A table under a `NfmNetwork`."""

    network_type = NfmNetwork
