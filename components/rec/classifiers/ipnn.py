"""IPNN (Qu et al. 2016)."""

from typing import final

import torch
from torch import Tensor

from components.core.recipe.classification import Ipnn
from components.rec.classifiers.base import ClassifierModel, Network, Shape
from components.rec.mlp import Mlp, fully_connected


@final
class IpnnNetwork(Network):
    """z = Wₒ MLP([E ; all ⟨eᵢ, eⱼ⟩ with i < j]) + bₒ (AutoLoss §2.2.4)."""

    linear = False
    pair_P: Tensor

    def __init__(self, config: Ipnn, shape: Shape, *, generator: torch.Generator) -> None:
        super().__init__()
        first_P, second_P = torch.triu_indices(shape.num_fields, shape.num_fields, offset=1)
        # places in E Eᵀ
        self.register_buffer("pair_P", first_P * shape.num_fields + second_P, persistent=False)
        self.mlp = Mlp(config.mlp, shape.flat + len(self.pair_P), generator=generator)
        self.output = fully_connected(self.mlp.outputs, shape.num_logits, generator=generator)

    def forward(self, rows_BFW: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        product_BFF = rows_BFW @ rows_BFW.transpose(1, 2)
        product_BP = product_BFF.flatten(1).index_select(1, self.pair_P)
        hidden_BH = self.mlp(torch.cat([rows_BFW.flatten(1), product_BP], dim=1), dropout)
        logit_BL: Tensor = self.output(hidden_BH)
        return logit_BL


@final
class IpnnModel(ClassifierModel):
    """A table under a `IpnnNetwork`."""

    network_type = IpnnNetwork
