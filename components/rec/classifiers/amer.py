"""AMER's stages 2 and 3 (Zhao et al. 2020): chosen interactions, an MLP, and a shortcut around it."""

from typing import final

import torch
from torch import Tensor, nn

from components.core.recipe.classification import Amer
from components.rec.classifiers.base import ClassifierModel, Network, Shape
from components.rec.classifiers.interactions import HadamardProducts
from components.rec.mlp import Mlp, fully_connected


@final
class AmerNetwork(Network):
    """z = Wₒ [MLP([E ; P]) ; h] + bₒ, P being the interactions, and h = Σ aᵢ qᵢ over Q = [E ; P], a = σ(W₂
    ReLU(W₁ Q v)) (AMER eq. 4 and 5, without biases in the latter).

    Attributes:
        dropout: share that is dropped of each layer of the MLP.
    """

    linear = False

    def __init__(self, config: Amer, shape: Shape, *, generator: torch.Generator) -> None:
        super().__init__()
        self._deep, self._shortcut = config.deep, config.shortcut
        self.dropout = config.mlp.dropout
        self.products = HadamardProducts(config.interactions, shape.names)
        count = shape.num_fields + len(config.interactions)
        self.mlp = Mlp(
            config.mlp, (count if config.deep else shape.num_fields) * shape.dim, generator=generator
        )
        inputs = self.mlp.outputs
        if config.shortcut:
            self.gate = _Gate(count, shape.dim, generator=generator)
            inputs += shape.dim
        self.output = fully_connected(inputs, shape.num_logits, generator=generator)

    def forward(self, rows_BFW: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        deep_BI, around_BD = self.inputs(rows_BFW)
        logit_BL: Tensor = self.output(torch.cat([self.mlp(deep_BI, dropout), around_BD], dim=1))
        return logit_BL

    def inputs(self, rows_BFW: Tensor) -> tuple[Tensor, Tensor]:
        """What goes into the MLP, (B, K₀), and what goes around it, (B, D) or (B, 0)."""
        both_BQD = torch.cat([rows_BFW, self.products(rows_BFW)], dim=1)
        around_BD = self.gate(both_BQD) if self._shortcut else both_BQD[:, 0, :0]
        return (both_BQD if self._deep else rows_BFW).flatten(1), around_BD


@final
class _Gate(nn.Module):
    """Squeeze and excitation over embeddings and interactions (AMER eq. 5)."""

    def __init__(self, count: int, dim: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.project = fully_connected(dim, 1, generator=generator, bias=False)
        self.squeeze = fully_connected(count, count, generator=generator, bias=False)
        self.excite = fully_connected(count, count, generator=generator, bias=False)

    def forward(self, both_BQD: Tensor) -> Tensor:
        """(B, D)."""
        projected_BQ = self.project(both_BQD).squeeze(2)
        weight_BQ: Tensor = self.excite(self.squeeze(projected_BQ).relu()).sigmoid()
        return (weight_BQ[:, :, None] * both_BQD).sum(dim=1)


@final
class AmerModel(ClassifierModel):
    """A table under an `AmerNetwork`."""

    network_type = AmerNetwork
