"""Fully connected layers, whose randomness is given from outside."""

from collections.abc import Sequence
from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn

from components.core.recipe import classification as recipe


@final
class Mlp(nn.Module):
    """hₗ₊₁ = dropout(act(norm(Wₗ hₗ + bₗ))) (AutoLoss eq. 5 and §3.3).

    Attributes:
        outputs: width of the last layer.
    """

    def __init__(self, config: recipe.Mlp, inputs: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            fully_connected(*widths, generator=generator) for widths in pairwise((inputs, *config.hidden))
        )
        self.norms = nn.ModuleList(batch_norm(config, width) for width in config.hidden)
        names: Sequence[recipe.ActivationName] = config.activations or ["relu" for _ in config.hidden]
        self.activations = nn.ModuleList(
            activation(name, width) for name, width in zip(names, config.hidden, strict=True)
        )
        self.outputs = config.hidden[-1]
        self._dropout = config.dropout

    def forward(self, input_BI: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        """(B, outputs).

        Args:
            dropout: randomness of dropout while training; None means no dropout.
        """
        return self.go_on(self.layers[0](input_BI), dropout)

    def go_on(self, sum_BH: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        """The same from W₀ h₀ + b₀ on."""
        hidden_BH = sum_BH
        for number, (norm, act) in enumerate(zip(self.norms, self.activations, strict=True)):
            if number:
                hidden_BH = self.layers[number](hidden_BH)
            hidden_BH = drop(act(norm(hidden_BH)), self._dropout, dropout)
        return hidden_BH


def activation(name: recipe.ActivationName, width: int) -> nn.Module:
    """Of (B, width)."""
    if name == "dice":
        return Dice(width)
    return {"relu": nn.ReLU, "swish": nn.SiLU, "identity": nn.Identity}[name]()


@final
class Dice(nn.Module):
    """p(s) s + (1 − p(s)) α s, p(s) = σ of s normalised over the batch, α learned for each unit (DIN, Zhou et
    al. 2018, eq. 3)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width, affine=False)
        self.slope = nn.Parameter(torch.zeros(width))  # α begins with 0, as in the authors' code

    def forward(self, hidden_BH: Tensor) -> Tensor:
        """(B, width)."""
        share_BH: Tensor = self.norm(hidden_BH).sigmoid()
        return hidden_BH * (share_BH + (1 - share_BH) * self.slope)


def fully_connected(inputs: int, outputs: int, *, generator: torch.Generator, bias: bool = True) -> nn.Linear:
    """A linear layer that begins as torch's own does, drawn from the generator."""
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs, bias=bias)  # type: ignore[no-untyped-call]  # torch
    assert isinstance(layer, nn.Linear)
    for parameter in layer.parameters():
        draw(parameter, inputs, generator)
    return layer


@torch.no_grad()
def draw(parameter: Tensor, inputs: int, generator: torch.Generator) -> None:
    """Values from U(−1/√inputs, 1/√inputs), in place."""
    bound = inputs**-0.5
    parameter.copy_(torch.rand(parameter.shape, generator=generator) * (2 * bound) - bound)


def batch_norm(config: recipe.Mlp, width: int) -> nn.Module:
    """Normalises (B, width) over the batch, where it is asked for."""
    return nn.BatchNorm1d(width) if config.batch_norm else nn.Identity()


def drop(values: Tensor, rate: float, generator: torch.Generator | None) -> Tensor:
    """Makes a share of the values zero, and scales up the rest to keep the mean; without a generator it does
    nothing."""
    if generator is None or rate == 0:
        return values
    kept = torch.rand(values.shape, generator=generator, device=values.device) >= rate
    return values * kept / (1 - rate)
