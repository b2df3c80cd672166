"""Embeddings of many sizes become vectors of one (ESAPN §2.2)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from components.rec.mlp import fully_connected

_WINDOW: Final = 2000.0  # rows that the running statistics go back, about
_PRIOR: Final = 32.0  # rows that the smaller size's statistics count for where a size's own begin
_EPSILON: Final = 1e-5


@final
class Unify(nn.Module):
    """ê = tanh(norm(… W₂ W₁ e)): linear maps from each size to the next, up to the largest (eq. 1), then
    normalisation and tanh.

    As in AutoEmb (Zhao et al. 2020), which §2.2 follows, each size is normalised by statistics of its own. It
    is the only way in which the size of an embedding can show in a prediction: e ← W e changes nothing of
    what the maps make of it.

    A departure: the statistics are running ones, in training too, over the last rows of that size. A batch
    has a handful of some size, whose own mean and variance say little and are not those that are served. A
    size that nobody had yet has those of the next smaller one: whoever grows into it is first seen as before.

    The maps begin as rotations into more dimensions. Torch's own initial values shrink a vector at each map
    and add one that is the same for all, beside which the smallest embeddings vanish.

    Another departure: maps have no shift, and keep their length (`_Kept`). The norm takes both away again, so
    nothing ever answers a gradient along them, as the running statistics are constants to it: on a stream of
    millions shifts and lengths went on as far as Adam's steps carried them, to thousands, and embeddings that
    grew took them along.

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

    def forward(
        self, values: Sequence[Tensor], size_R: Tensor | None = None, *, remember: bool = False
    ) -> Tensor:
        """(R, d_n) of R embeddings, which stand by size as in `Rows`.

        Args:
            values: for each size its rows, (R_k, d_k).
            size_R: the places of the sizes as which they are normalised; None: of their own.
            remember: whether the statistics learn from them first.
        """
        mapped_RW = values[0]
        for layer, larger in zip(self.maps, values[1:], strict=True):
            mapped_RW = torch.cat([layer(mapped_RW), larger])
        if size_R is None:
            size_R = torch.repeat_interleave(torch.tensor([len(rows) for rows in values]))
        if remember:
            self._remember(mapped_RW, size_R)
        deviation_KW = torch.sqrt(self.variance_KW + _EPSILON)
        centred_RW = mapped_RW - self.mean_KW.index_select(0, size_R)
        normal_RW = centred_RW / deviation_KW.index_select(0, size_R)
        return torch.tanh(torch.addcmul(self.shift_W, normal_RW, self.scale_W))

    @torch.no_grad()
    def affine(self, place: int) -> tuple[Tensor, Tensor]:
        """A (W, d) and c (W,) by which an embedding e of a size becomes tanh(A e + c) when it is served."""
        weight_WD = torch.eye(self._sizes[place])
        for layer in self.maps[place:]:
            assert isinstance(layer, nn.Linear)
            weight_WD = layer.weight @ weight_WD
        scale_W = self.scale_W / torch.sqrt(self.variance_KW[place] + _EPSILON)
        return scale_W[:, None] * weight_WD, self.shift_W - scale_W * self.mean_KW[place]

    @torch.no_grad()
    def _remember(self, mapped_RW: Tensor, size_R: Tensor) -> None:
        """Pool mean and variance of each size with those of its rows; of sizes that begin after the others,
        from below."""
        num_K, mean_KW, variance_KW = _moments(mapped_RW, size_R, len(self.num_K))
        begins_K = (num_K > 0) & (self.num_K == 0)
        self._pool(torch.where(begins_K, 0, num_K), mean_KW, variance_KW)
        for place in begins_K.nonzero().flatten().tolist():
            self.num_K[place] = _PRIOR if place else 0
            self._pool(torch.where(torch.arange(len(num_K)) == place, num_K, 0), mean_KW, variance_KW)

    def _pool(self, num_K: Tensor, mean_KW: Tensor, variance_KW: Tensor) -> None:
        """Older rows count for `_WINDOW` at most; a size without any has what the next smaller one has."""
        self.num_K = self.num_K.clamp(max=_WINDOW) + num_K
        share_K1 = (num_K / self.num_K.clamp(min=1))[:, None]
        between_KW = share_K1 * (1 - share_K1) * (mean_KW - self.mean_KW).square()
        within_KW = torch.lerp(self.variance_KW, variance_KW, share_K1)
        known_K = torch.where(self.num_K > 0, torch.arange(len(num_K)), 0).cummax(0).values
        self.mean_KW = torch.lerp(self.mean_KW, mean_KW, share_K1)[known_K]
        self.variance_KW = (within_KW + between_KW)[known_K]


def _moments(rows_RW: Tensor, size_R: Tensor, num_sizes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of the rows of each size: (K,) their number, (K, W) mean and variance; 0 where there are none."""
    is_size_KR = (torch.arange(num_sizes)[:, None] == size_R).float()
    num_K = is_size_KR.sum(dim=1)
    mean_KR = is_size_KR / num_K.clamp(min=1)[:, None]
    mean_KW = mean_KR @ rows_RW
    variance_KW = mean_KR @ (rows_RW - mean_KW.index_select(0, size_R)).square()
    return num_K, mean_KW, variance_KW


def _rotation(inputs: int, outputs: int, *, generator: torch.Generator) -> nn.Linear:
    """A map that keeps lengths and angles at first, and its own length always."""
    layer = fully_connected(inputs, outputs, generator=generator, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.linalg.qr(torch.randn(outputs, inputs, generator=generator))[0])
    register_parametrization(layer, "weight", _Kept())
    return layer


@final
class _Kept(nn.Module):
    """A matrix of the Frobenius norm that a rotation of as many columns has (weight normalisation, Salimans &
    Kingma 2016, of a whole matrix)."""

    def forward(self, weight: Tensor) -> Tensor:
        """(W, D)."""
        kept: Tensor = weight * (weight.shape[1] ** 0.5 / torch.linalg.matrix_norm(weight))
        return kept
