"""Layers over histories of different lengths (AMER §2.2).

All take states (S, T, K) that are zero where a history has no item, and give states of the same shape. What
they give there is for the caller to clear (`clear`). A history gives the same, however much empty space
stands before it.
"""

from abc import ABC, abstractmethod
from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from components.rec.drawing import uniform, xavier

_SLOPE: Final = 0.25  # at which a PReLU begins (He et al. 2015)
_ATTENTION_SPREAD: Final = 0.05  # of initial weights, uniform (AMER Appendix D)


def clear(state_STK: Tensor, there_ST: Tensor) -> Tensor:
    """Zero where a history has no item."""
    return state_STK * there_ST[:, :, None]


class Layer(nn.Module, ABC):
    """Mixes the places of a history."""

    @abstractmethod
    def forward(self, state_STK: Tensor, there_ST: Tensor) -> Tensor:
        """(S, T, K)."""


@final
class Convolution(Layer):
    """One-dimensional, of stride 1 and with zeros around.

    Args:
        offsets: the places that are read, relative to the one that is written.
    """

    def __init__(self, dim: int, offsets: tuple[int, ...], *, generator: torch.Generator) -> None:
        super().__init__()
        self._offsets = offsets
        inputs = dim * len(offsets)
        self.weight = nn.Parameter(torch.randn(inputs, dim, generator=generator) * (2 / inputs) ** 0.5)  # He
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, state_STK: Tensor, there_ST: Tensor) -> Tensor:
        return shifted(state_STK, self._offsets).flatten(start_dim=2) @ self.weight + self.bias


@final
class AveragePooling(Layer):
    """The mean over neighbouring places that have an item."""

    def __init__(self, offsets: tuple[int, ...]) -> None:
        super().__init__()
        self._offsets = offsets

    def forward(self, state_STK: Tensor, there_ST: Tensor) -> Tensor:
        count_ST1 = shifted(there_ST[:, :, None].to(state_STK.dtype), self._offsets).sum(dim=2)
        return shifted(state_STK, self._offsets).sum(dim=2) / count_ST1.clamp(min=1)


@final
class MaxPooling(Layer):
    """The largest over neighbouring places that have an item."""

    def __init__(self, offsets: tuple[int, ...]) -> None:
        super().__init__()
        self._offsets = offsets

    def forward(self, state_STK: Tensor, there_ST: Tensor) -> Tensor:
        there_STO1 = shifted(there_ST[:, :, None].to(state_STK.dtype), self._offsets) > 0
        largest_STK = shifted(state_STK, self._offsets).where(there_STO1, -torch.inf).amax(dim=2)
        return largest_STK.where(there_ST[:, :, None], 0)


def shifted(state_STK: Tensor, offsets: tuple[int, ...]) -> Tensor:
    """(S, T, O, K): for each place the states at some others relative to it, zero beyond both ends."""
    before, after = max(0, -min(offsets)), max(0, max(offsets))
    padded = nn.functional.pad(state_STK, (0, 0, before, after))
    length = state_STK.shape[1]
    return torch.stack([padded[:, before + offset : before + offset + length] for offset in offsets], dim=2)


@final
class Recurrence(Layer):
    """A GRU along the history, and, in two directions, one against it: then each has a share of the K."""

    def __init__(self, dim: int, *, both: bool, generator: torch.Generator) -> None:
        super().__init__()
        widths = [dim // 2, dim - dim // 2] if both else [dim]
        self.cells = nn.ModuleList(_gru(dim, width, generator) for width in widths)

    def forward(self, state_STK: Tensor, there_ST: Tensor) -> Tensor:
        """Histories are moved to the front first, where nothing stands before them."""
        length = there_ST.shape[1]
        count_S1 = there_ST.sum(dim=1, keepdim=True)
        place_T = torch.arange(length, device=there_ST.device)
        front_ST = (place_T + length - count_S1) % length  # from the front, what stands at the end
        back_ST = (place_T - (length - count_S1)) % length
        turned_ST = (length - 1 - place_T).expand_as(front_ST)  # the last item first: it stands at the end
        ways = [(front_ST, back_ST), (turned_ST, turned_ST)]
        out = []
        for cell, (there, back) in zip(self.cells, ways, strict=False):
            moved, _ = cell(_taken(state_STK, there))
            out.append(_taken(moved, back))
        return torch.cat(out, dim=2)


def _taken(state_STK: Tensor, place_ST: Tensor) -> Tensor:
    return state_STK.gather(1, place_ST[:, :, None].expand(-1, -1, state_STK.shape[2]))


def _gru(inputs: int, width: int, generator: torch.Generator) -> nn.Module:
    cell = nn.GRU(inputs, width, batch_first=True, device="meta").to_empty(device="cpu")  # draws nothing
    with torch.no_grad():
        for name, parameter in cell.named_parameters():
            if name.startswith("bias"):
                parameter.zero_()
            else:
                for gate in parameter.chunk(3):
                    nn.init.orthogonal_(gate, generator=generator)
    return cell


@final
class SelfAttention(Layer):
    """Every place looks at all, or at those up to itself (Vaswani et al. 2017)."""

    def __init__(
        self, dim: int, num_heads: int, *, causal: bool, generator: torch.Generator, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self._num_heads, self._causal = num_heads, causal
        self.inputs = nn.Parameter(uniform((dim, 3 * dim), _ATTENTION_SPREAD, generator))
        self.outputs = nn.Parameter(uniform((dim, dim), _ATTENTION_SPREAD, generator))

    def forward(self, state_STK: Tensor, there_ST: Tensor) -> Tensor:
        return self.attend(state_STK, state_STK, there_ST)

    def attend(self, asking_STK: Tensor, state_STK: Tensor, there_ST: Tensor) -> Tensor:
        """The same, where other states ask."""
        size, length, dim = state_STK.shape
        of_asking, of_state = self.inputs[:, :dim], self.inputs[:, dim:]
        query, key, value = (
            part.reshape(size, length, self._num_heads, -1).transpose(1, 2)
            for part in (asking_STK @ of_asking, *(state_STK @ of_state).chunk(2, dim=2))
        )
        seen_S1TT = there_ST[:, None, None, :].expand(size, 1, length, length)
        if self._causal:
            seen_S1TT = (
                seen_S1TT & torch.ones(length, length, dtype=torch.bool, device=there_ST.device).tril()
            )
            seen_S1TT = seen_S1TT | torch.eye(
                length, dtype=torch.bool, device=there_ST.device
            )  # never nothing
        found = scaled_dot_product_attention(query, key, value, attn_mask=seen_S1TT)
        return found.transpose(1, 2).reshape(size, length, dim) @ self.outputs


@final
class LocalActivation(nn.Module):
    """a(h, e) = w PReLU(W [h ; e ; h − e ; h ⊙ e] + b) + c: how much a place of a history has to do with what
    is asked about (DIN, Zhou et al. 2018, §4.3; h ⊙ e as in the authors' code stands for their outer
    product). They do not sum to 1."""

    def __init__(self, dim: int, hidden: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.inner = nn.Parameter(xavier(4 * dim, hidden, generator))
        self.inner_bias = nn.Parameter(torch.zeros(hidden))
        self.slope = nn.Parameter(torch.full((hidden,), _SLOPE))
        self.outer = nn.Parameter(xavier(hidden, 1, generator))
        self.outer_bias = nn.Parameter(torch.zeros(1))

    def forward(self, state_STK: Tensor, target_SK: Tensor) -> Tensor:
        """(S, T, 1)."""
        target_STK = target_SK[:, None].expand_as(state_STK)
        both = torch.cat([state_STK, target_STK, state_STK - target_STK, state_STK * target_STK], dim=2)
        sum_STH = both @ self.inner + self.inner_bias
        hidden_STH = sum_STH.clamp(min=0) + self.slope * sum_STH.clamp(max=0)
        return hidden_STH @ self.outer + self.outer_bias


@final
class TargetAttention(Layer):
    """Each place, weighed by what is asked about."""

    def __init__(self, dim: int, hidden: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.weigh = LocalActivation(dim, hidden, generator=generator)

    def forward(self, state_STK: Tensor, there_ST: Tensor, target_SK: Tensor | None = None) -> Tensor:
        assert target_SK is not None
        weighed_STK: Tensor = self.weigh(state_STK, target_SK) * state_STK
        return weighed_STK


@final
class Zero(Layer):
    """Nothing: the block is passed by."""

    def forward(self, state_STK: Tensor, there_ST: Tensor) -> Tensor:
        return torch.zeros_like(state_STK)
