"""Embeddings of many sizes become vectors of one (ESAPN §2.2)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, final

import torch
from torch import Tensor, nn

from components.rec.mlp import fully_connected

_WINDOW: Final = 2000.0  # rows that the running statistics go back, about
_PRIOR: Final = 32.0  # rows that the smaller size's statistics count for where a size's own begin
_EPSILON: Final = 1e-5


@final
class Unify(nn.Module):
    """ê = tanh(norm(… W₂ (W₁ e + b₁) + b₂ …)): linear maps from each size to the next, up to the largest
    (eq. 1), then normalisation and tanh.

    As in AutoEmb (Zhao et al. 2020), which §2.2 follows, each size is normalised by statistics of its own. It
    is the only way in which the size of an embedding can show in a prediction: e ← W e + b changes nothing of
    what the maps make of it.

    A departure: the statistics are running ones, in training too, over the last rows of that size. A batch
    has a handful of some size, whose own mean and variance say little and are not those that are served. A
    size that nobody had yet has those of the next smaller one: whoever grows into it is first seen as before.

    The maps begin as rotations into more dimensions. Torch's own initial values shrink a vector at each map
    and add one that is the same for all, beside which the smallest embeddings vanish.

    Args:
        sizes: D, which ascend.
        generator: (CPU) draws the maps.
    """

    num_K: Tensor
    mean_KW: Tensor
    variance_KW: Tensor

    def __init__(self, sizes: Sequence[int], *, generator: torch.Generator) -> None:
        super().__init__()
        self._sizes = tuple(sizes)
        self.maps = nn.ModuleList(_rotation(*pair, generator=generator) for pair in pairwise(sizes))
        width = sizes[-1]
        self.scale_W, self.shift_W = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.register_buffer("num_K", torch.zeros(len(sizes)))
        self.register_buffer("mean_KW", torch.zeros(len(sizes), width))
        self.register_buffer("variance_KW", torch.ones(len(sizes), width))

    def forward(self, values: Sequence[Tensor], *, remember: bool = False) -> Tensor:
        """(R, d_n) of R embeddings, which stand by size as in `Rows`.

        Args:
            values: for each size its rows, (R_k, d_k).
            remember: whether the statistics learn from them first.
        """
        mapped = values[0]
        for layer, larger in zip(self.maps, values[1:], strict=True):
            mapped = torch.cat([layer(mapped), larger])
        parts = torch.split(mapped, [len(rows) for rows in values])
        if remember:
            self._remember(parts)
        normal = [self._normal(place, rows_RW) for place, rows_RW in enumerate(parts)]
        return torch.tanh(torch.cat(normal) * self.scale_W + self.shift_W)

    @torch.no_grad()
    def affine(self, place: int) -> tuple[Tensor, Tensor]:
        """A (W, d) and c (W,) by which an embedding e of a size becomes tanh(A e + c) when it is served."""
        weight_WD, bias_W = torch.eye(self._sizes[place]), torch.zeros(self._sizes[place])
        for layer in self.maps[place:]:
            assert isinstance(layer, nn.Linear)
            weight_WD, bias_W = layer.weight @ weight_WD, layer.weight @ bias_W + layer.bias
        known = self._known(place)
        scale_W = self.scale_W / torch.sqrt(self.variance_KW[known] + _EPSILON)
        return scale_W[:, None] * weight_WD, scale_W * (bias_W - self.mean_KW[known]) + self.shift_W

    def _normal(self, place: int, rows_RW: Tensor) -> Tensor:
        known = self._known(place)
        return (rows_RW - self.mean_KW[known]) / torch.sqrt(self.variance_KW[known] + _EPSILON)

    def _known(self, place: int) -> int:
        """The size whose statistics one goes by: itself, or the next smaller one that has any."""
        while place and not self.num_K[place]:
            place -= 1
        return place

    @torch.no_grad()
    def _remember(self, parts: Sequence[Tensor]) -> None:
        """Pool mean and variance with those of these rows; older ones count for `_WINDOW` rows at most."""
        for place, rows_RW in enumerate(parts):
            if not len(rows_RW):
                continue
            variance_W, mean_W = torch.var_mean(rows_RW, dim=0, correction=0)
            before = min(float(self.num_K[place]), _WINDOW)
            if not before and (known := self._known(place)) != place:
                self.mean_KW[place], self.variance_KW[place] = self.mean_KW[known], self.variance_KW[known]
                before = _PRIOR
            share = len(rows_RW) / (before + len(rows_RW))
            apart_W = mean_W - self.mean_KW[place] if before else torch.zeros_like(mean_W)
            between_W = share * (1 - share) * apart_W.square()
            self.variance_KW[place] = torch.lerp(self.variance_KW[place], variance_W, share) + between_W
            self.mean_KW[place] = torch.lerp(self.mean_KW[place], mean_W, share)
            self.num_K[place] = before + len(rows_RW)


def _rotation(inputs: int, outputs: int, *, generator: torch.Generator) -> nn.Linear:
    """A map that keeps lengths and angles, without a shift."""
    layer = fully_connected(inputs, outputs, generator=generator)
    with torch.no_grad():
        layer.weight.copy_(torch.linalg.qr(torch.randn(outputs, inputs, generator=generator))[0])
        layer.bias.zero_()
    return layer
