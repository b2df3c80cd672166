"""Residual blocks of a normalisation, a layer and an activation (AMER eq. 3)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, silu

from components.core.recipe.sequences import ActivationName, Block, Blocks, LayerName, NormName
from components.rec.data import RankingData
from components.rec.drawing import xavier
from components.rec.sequences.layers import (
    AveragePooling,
    Convolution,
    Layer,
    MaxPooling,
    Recurrence,
    SelfAttention,
    TargetAttention,
    Zero,
    clear,
)
from components.rec.sequences.model import SequenceModel

ACTIVATIONS: Final[Mapping[ActivationName, Callable[[Tensor], Tensor]]] = {
    "relu": torch.relu,
    "gelu": gelu,
    "swish": silu,
    "identity": lambda state: state,
}
ATTENTION: Final = 36  # hidden units of an attention from the target (DIN §4.3)
_OFFSETS: Final[Mapping[LayerName, tuple[int, ...]]] = {
    "conv1": (0,),
    "conv3": (-1, 0, 1),
    "dilated3": (-2, 0, 2),
    "dilated5": (-4, -2, 0, 2, 4),
    "dilated7": (-6, -4, -2, 0, 2, 4, 6),
    "average3": (-1, 0, 1),
    "max3": (-1, 0, 1),
}


def build_layer(name: LayerName, dim: int, *, generator: torch.Generator) -> Layer:
    """A layer of the choice blocks with fresh weights."""
    if name == "zero":
        return Zero()
    if name == "gru":
        return Recurrence(dim, both=True, generator=generator)
    if name == "target":
        return TargetAttention(dim, ATTENTION, generator=generator)
    if name in {"attention2", "attention4"}:
        return SelfAttention(dim, int(name[-1]), causal=False, generator=generator)
    if name == "average3":
        return AveragePooling(_OFFSETS[name])
    if name == "max3":
        return MaxPooling(_OFFSETS[name])
    return Convolution(dim, _OFFSETS[name], generator=generator)


@final
class ChoiceBlock(nn.Module):
    """What a block may consist of: the weights of a normalisation and of one or several layers.

    Args:
        layers: to choose from.
        norm: whether normalisation may be chosen.
    """

    def __init__(
        self, dim: int, layers: tuple[LayerName, ...], *, norm: bool, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim) if norm else nn.Identity()
        self.layers = nn.ModuleDict({name: build_layer(name, dim, generator=generator) for name in layers})

    def forward(
        self, state_STK: Tensor, there_ST: Tensor, block: Block, target_SK: Tensor | None = None
    ) -> Tensor:
        """Hₗ = Act(Layer(Norm(Hₗ₋₁))) + Hₗ₋₁.

        Args:
            target_SK: what is asked about, where there is such a thing.
        """
        if block.layer == "zero":
            return state_STK
        out = self.mixed(block.layer, self.normed(state_STK, there_ST, block.norm), there_ST, target_SK)
        return clear(ACTIVATIONS[block.activation](out) + state_STK, there_ST)

    def mixed(
        self, layer: LayerName, state_STK: Tensor, there_ST: Tensor, target_SK: Tensor | None
    ) -> Tensor:
        """Layer(Hₗ₋₁)."""
        target = (target_SK,) if layer == "target" else ()
        out_STK: Tensor = self.layers[layer](state_STK, there_ST, *target)
        return out_STK

    def normed(self, state_STK: Tensor, there_ST: Tensor, norm: NormName) -> Tensor:
        """Norm(Hₗ₋₁)."""
        return clear(self.norm(state_STK), there_ST) if norm == "layer" else state_STK


def choice_blocks(
    blocks: Sequence[Block], dim: int, choices: tuple[LayerName, ...], *, generator: torch.Generator
) -> nn.ModuleList:
    """The weights of given blocks, or, with choices, of all these layers in each of them, under the same
    names."""
    return nn.ModuleList(
        ChoiceBlock(
            dim,
            choices or (block.layer,),
            norm=bool(choices) or (block.norm == "layer" and block.layer != "zero"),
            generator=generator,
        )
        for block in blocks
    )


def summary(state_STK: Tensor) -> Tensor:
    """(S, 2K) the sum over the places and the last one (AMER §2.1, stage 1, without a target)."""
    return torch.cat([state_STK.sum(dim=1), state_STK[:, -1]], dim=1)


@final
class BlocksModel(SequenceModel):
    """A stack of given blocks.

    Args:
        choices: where given, every block has the weights of all these layers (a one-shot model), under the
            names that they have in a model with one of them.
    """

    def __init__(
        self,
        config: Blocks,
        data: RankingData,
        *,
        generator: torch.Generator,
        choices: tuple[LayerName, ...] = (),
    ) -> None:
        super().__init__(config, data, generator=generator)
        self._chosen = config.blocks
        self.blocks = choice_blocks(config.blocks, config.dim, choices, generator=generator)
        self.output = nn.Parameter(xavier(2 * config.dim, config.dim, generator))  # W of eq. 7

    def read(
        self, embedded_STK: Tensor, there_ST: Tensor, user_S: Tensor, dropout: torch.Generator | None
    ) -> Tensor:
        return self.follow(self._chosen, embedded_STK, there_ST)

    def follow(self, path: Sequence[Block], state_STK: Tensor, there_ST: Tensor) -> Tensor:
        """(S, K) the vectors that the blocks of a child make of embedded histories."""
        for choices, block in zip(self.blocks, path, strict=True):
            state_STK = choices(state_STK, there_ST, block)
        return summary(state_STK) @ self.output
