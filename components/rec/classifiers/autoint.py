"""AutoInt+ (Song et al. 2019)."""

from typing import final

import torch
from torch import Tensor, nn

from components.core.recipe.classification import AutoInt
from components.rec.classifiers.base import ClassifierModel, Network, Shape
from components.rec.mlp import Mlp, fully_connected


@final
class AutoIntNetwork(Network):
    """z = ⟨w, x⟩ + Wₒ [fields after attention ; MLP(E)] + bₒ (§4.5 and 5.5 there).

    The linear part stands in no equation of the paper; it is that of AutoLoss's library.
    """

    linear = True

    def __init__(self, config: AutoInt, shape: Shape, *, generator: torch.Generator) -> None:
        super().__init__()
        self._shape = shape
        widths = [shape.dim, *[config.attention_dim] * (config.num_layers - 1)]
        self.attention = nn.ModuleList(_Attention(config, width, generator) for width in widths)
        self.mlp = Mlp(config.mlp, shape.flat, generator=generator)
        attended = shape.num_fields * config.attention_dim
        self.output = fully_connected(attended + self.mlp.outputs, shape.num_logits, generator=generator)

    def forward(self, rows_BFW: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        embedding_BFD, linear_BL = self._shape.split(rows_BFW)
        attended_BFA = embedding_BFD
        for layer in self.attention:
            attended_BFA = layer(attended_BFA)
        hidden_BH = self.mlp(embedding_BFD.flatten(1), dropout)
        output_BL: Tensor = self.output(torch.cat([attended_BFA.flatten(1), hidden_BH], dim=1))
        return linear_BL + output_BL


@final
class _Attention(nn.Module):
    """ReLU(Σₖ αₘₖ W_V eₖ, heads side by side, + W_R eₘ), α = softmaxₖ ⟨W_Q eₘ, W_K eₖ⟩ (eq. 5 to 8)."""

    def __init__(self, config: AutoInt, inputs: int, generator: torch.Generator) -> None:
        super().__init__()
        self._num_heads, self._dim = config.num_heads, config.attention_dim
        # W_Q, W_K, W_V and W_R, one below the other
        self.projection = fully_connected(inputs, 4 * self._dim, generator=generator, bias=False)

    def forward(self, field_BFI: Tensor) -> Tensor:
        """(B, F, A)."""
        *heads, residual_BFA = self.projection(field_BFI).split(self._dim, dim=2)
        query_BHFA, key_BHFA, value_BHFA = (
            part.unflatten(2, (self._num_heads, -1)).transpose(1, 2) for part in heads
        )
        weight_BHFF = (query_BHFA @ key_BHFA.transpose(2, 3)).softmax(dim=3)
        attended_BFA = (weight_BHFF @ value_BHFA).transpose(1, 2).flatten(2)
        output_BFA: Tensor = (attended_BFA + residual_BFA).relu()
        return output_BFA


@final
class AutoIntModel(ClassifierModel):
    """A table under a `AutoIntNetwork`."""

    network_type = AutoIntNetwork
