"""What networks make of histories."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from components.core.recipe.sequences import Block, LayerName
from components.rec.classifiers.base import Past, Shape
from components.rec.sequences.blocks import choice_blocks, summary
from components.rec.sequences.layers import LocalActivation


@final
class Target(nn.Module):
    """What an example is about: the embeddings of the fields whose values its history has, side by side."""

    place_H: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self._dim = shape.dim
        self.register_buffer("place_H", torch.tensor(shape.targets, dtype=torch.int64), persistent=False)

    def forward(self, rows_BFW: Tensor) -> Tensor:
        """(B, K)."""
        return rows_BFW[:, :, : self._dim].index_select(1, self.place_H).flatten(1)


@final
class HistoryReader(nn.Module):
    """h = [Σₜ hₜ ; h_T ; Σₜ a(hₜ, e) hₜ], hₜ being what residual blocks make of the behaviours (AMER §2.1,
    stage 1).

    Args:
        blocks: from the first to the last.
        hidden: units of the attention.
        choices: where given, every block has the weights of all these layers (a one-shot model), under the
            names that they have in a model with one of them.

    Attributes:
        outputs: width of h.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        hidden: int,
        shape: Shape,
        *,
        generator: torch.Generator,
        choices: tuple[LayerName, ...] = (),
    ) -> None:
        super().__init__()
        width = shape.dim * len(shape.targets)
        self._chosen = tuple(blocks)
        self.target = Target(shape)
        self.blocks = choice_blocks(blocks, width, choices, generator=generator)
        self.weigh = LocalActivation(width, hidden, generator=generator)
        self.outputs = 3 * width

    def forward(self, rows_BFW: Tensor, past: Past) -> Tensor:
        """(B, 3 K)."""
        return self.follow(self._chosen, past, self.target(rows_BFW))

    def follow(self, path: Sequence[Block], past: Past, target_BK: Tensor) -> Tensor:
        """(B, 3 K) what the blocks of a child make of it."""
        state_BTK, there_BT = past
        for choices, block in zip(self.blocks, path, strict=True):
            state_BTK = choices(state_BTK, there_BT, block, target_BK)
        return self.summed(state_BTK, target_BK)

    def summed(self, state_BTK: Tensor, target_BK: Tensor) -> Tensor:
        """(B, 3 K) of the states after the last block."""
        attended_BK = (self.weigh(state_BTK, target_BK) * state_BTK).sum(dim=1)
        return torch.cat([summary(state_BTK), attended_BK], dim=1)
