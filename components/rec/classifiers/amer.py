"""AMER (Zhao et al. 2020): what reads histories, chosen interactions, an MLP, and a shortcut around it."""

from typing import final

import torch
from torch import Tensor, nn

from components.core.recipe.classification import Amer
from components.core.recipe.sequences import LayerName
from components.rec.classifiers.base import ClassifierModel, Network, Past, Shape
from components.rec.classifiers.history import HistoryReader
from components.rec.classifiers.interactions import HadamardProducts
from components.rec.fields import FieldData
from components.rec.mlp import Mlp, fully_connected


@final
class AmerNetwork(Network):
    """z = Wₒ [MLP([E ; H ; P]) ; h] + bₒ, H being what is made of histories, P the interactions, and h = Σ aᵢ
    qᵢ over Q = [E ; P], a = σ(W₂ ReLU(W₁ Q v)) (AMER eq. 4 and 5, without biases in the latter).

    Args:
        choices: see `HistoryReader`.

    Attributes:
        history: where there are histories.
        num_fields: without histories.
        dropout: share that is dropped of each layer of the MLP.
    """

    linear = False
    reads_histories = True

    def __init__(
        self,
        config: Amer,
        shape: Shape,
        *,
        generator: torch.Generator,
        choices: tuple[LayerName, ...] = (),
    ) -> None:
        super().__init__()
        self._deep, self._shortcut = config.deep, config.shortcut
        self.dropout = config.mlp.dropout
        self.products = HadamardProducts(config.interactions, shape.names)
        self.num_fields = shape.num_fields
        count = shape.num_fields + len(config.interactions)
        self.history = (
            HistoryReader(config.blocks, config.attention, shape, generator=generator, choices=choices)
            if shape.targets
            else None
        )
        self.mlp = Mlp(config.mlp, deep_width(config, shape), generator=generator)
        inputs = self.mlp.outputs
        if config.shortcut:
            self.gate = _Gate(count, shape.dim, generator=generator)
            inputs += shape.dim
        self.output = fully_connected(inputs, shape.num_logits, generator=generator)

    def forward(
        self, rows_BFW: Tensor, dropout: torch.Generator | None = None, past: Past | None = None
    ) -> Tensor:
        return self.answer(*self.inputs(rows_BFW, past), dropout)

    def answer(self, deep_BI: Tensor, around_BD: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        """(B, L) logits of what goes into the MLP and what goes around it."""
        logit_BL: Tensor = self.output(torch.cat([self.mlp(deep_BI, dropout), around_BD], dim=1))
        return logit_BL

    def inputs(self, rows_BFW: Tensor, past: Past | None) -> tuple[Tensor, Tensor]:
        """What goes into the MLP, (B, K₀), and what goes around it, (B, D) or (B, 0)."""
        made = () if self.history is None else (self.history(rows_BFW, past),)
        return self.joined(rows_BFW, *made)

    def joined(self, rows_BFW: Tensor, *made_BH: Tensor) -> tuple[Tensor, Tensor]:
        """The same with what has been made of histories, where there are any."""
        product_BMD = self.products(rows_BFW)
        both_BQD = torch.cat([rows_BFW, product_BMD], dim=1)
        around_BD = self.gate(both_BQD) if self._shortcut else both_BQD[:, 0, :0]
        deep = [rows_BFW.flatten(1), *made_BH, *([product_BMD.flatten(1)] if self._deep else [])]
        return torch.cat(deep, dim=1), around_BD


def deep_width(config: Amer, shape: Shape) -> int:
    """K₀: numbers that go into the MLP."""
    products = len(config.interactions) if config.deep else 0
    return shape.dim * (shape.num_fields + 3 * len(shape.targets) + products)


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
    """A table under an `AmerNetwork`.

    Args:
        choices: see `HistoryReader`.
    """

    network_type = AmerNetwork

    def __init__(
        self,
        config: Amer,
        data: FieldData,
        *,
        generator: torch.Generator,
        choices: tuple[LayerName, ...] = (),
    ) -> None:
        super().__init__(config, data, generator=generator, **({"choices": choices} if choices else {}))
