"""DIN (Zhou et al. 2018)."""

from typing import final

import torch
from torch import Tensor

from components.core.recipe.classification import Din
from components.rec.classifiers.base import ClassifierModel, Network, Past, Shape
from components.rec.classifiers.history import Target
from components.rec.mlp import Mlp, fully_connected
from components.rec.sequences.layers import LocalActivation


@final
class DinNetwork(Network):
    """z = Wₒ MLP([E ; Σₜ a(eₜ, e) eₜ]) + bₒ: eₜ the behaviours, e what the example is about (eq. 3)."""

    linear = False
    reads_histories = True

    def __init__(self, config: Din, shape: Shape, *, generator: torch.Generator) -> None:
        super().__init__()
        width = shape.dim * len(shape.targets)
        self.target = Target(shape)
        self.weigh = LocalActivation(width, config.attention, generator=generator)
        self.mlp = Mlp(config.mlp, shape.flat + width, generator=generator)
        self.output = fully_connected(self.mlp.outputs, shape.num_logits, generator=generator)

    def forward(
        self, rows_BFW: Tensor, dropout: torch.Generator | None = None, past: Past | None = None
    ) -> Tensor:
        assert past is not None
        weight_BT1 = self.weigh(past.state_BTK, self.target(rows_BFW))
        interest_BK = (weight_BT1 * past.state_BTK).sum(dim=1)
        logit_BL: Tensor = self.output(
            self.mlp(torch.cat([rows_BFW.flatten(1), interest_BK], dim=1), dropout)
        )
        return logit_BL


@final
class DinModel(ClassifierModel):
    """A table under a `DinNetwork`."""

    network_type = DinNetwork
