"""The recommendation model of a stream: embeddings of users and items, one hidden layer (ESAPN §2.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from components.rec.mlp import fully_connected
from components.rec.streaming.embeddings import Embeddings
from components.rec.weights import prefixed, without_prefix

Side = Literal["user", "item"]
SIDES: Final[tuple[Side, Side]] = ("user", "item")


@final
@dataclass(frozen=True)
class StreamBatch:
    """B interactions, in the order of the stream. Ids are dense by first appearance: there is an embedding
    for every id up to the largest that has been seen."""

    user_B: Tensor
    item_B: Tensor
    label_B: Tensor

    def __len__(self) -> int:
        return len(self.label_B)

    def ids(self, side: Side) -> Tensor:
        """(B,) of one side."""
        return self.user_B if side == "user" else self.item_B

    def part(self, start: int, stop: int) -> "StreamBatch":
        """Some of them."""
        place = slice(start, stop)
        return StreamBatch(self.user_B[place], self.item_B[place], self.label_B[place])


@final
class StreamModel(nn.Module):
    """h = tanh(W₁ [ê_u : ê_i] + b₁), and a linear layer: one logit for two classes, that of the second, else
    one for each.

    Args:
        embeddings: of users and of items.
        num_classes: of the label.
        hidden: width of the hidden layer.
        generator: (CPU) draws the first weights.

    Attributes:
        num_classes: of the label.
    """

    def __init__(
        self,
        embeddings: Mapping[Side, Embeddings],
        num_classes: int,
        hidden: int,
        *,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self._sides = nn.ModuleDict({side: embeddings[side] for side in SIDES})
        width = sum(embeddings[side].width for side in SIDES)
        self.hidden = fully_connected(width, hidden, generator=generator)
        self.output = fully_connected(hidden, 1 if num_classes == 2 else num_classes, generator=generator)

    def side(self, side: Side) -> Embeddings:
        """The embeddings of one side."""
        embeddings = self._sides[side]
        assert isinstance(embeddings, Embeddings)
        return embeddings

    def know(self, batch: StreamBatch) -> None:
        """Give embeddings to ids that are new."""
        for side in SIDES:
            self.side(side).extend(int(batch.ids(side).max()) + 1)

    def rows(self, batch: StreamBatch) -> dict[Side, Any]:
        """What each side needs for a batch."""
        return {side: self.side(side).rows(batch.ids(side)) for side in SIDES}

    def forward(self, rows: Mapping[Side, Any], *, remember: bool = False) -> Tensor:
        """(B, L) logits.

        Args:
            remember: whether running statistics learn from the batch first.
        """
        unified = [self._sides[side](rows[side], remember=remember) for side in SIDES]
        logit_BL: Tensor = self.output(torch.tanh(self.hidden(torch.cat(unified, dim=1))))
        return logit_BL

    def state(self) -> dict[str, Tensor]:
        """Both sides, and the layers above them."""
        layers = {
            name: tensor for name, tensor in self.state_dict().items() if not name.startswith("_sides.")
        }
        sides = [prefixed(side, self.side(side).state()) for side in SIDES]
        return {**prefixed("network", layers), **sides[0], **sides[1]}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state` gave."""
        layers = without_prefix("network", state)
        own = {name: tensor for name, tensor in self.state_dict().items() if name.startswith("_sides.")}
        self.load_state_dict({**own, **layers})
        for side in SIDES:
            self.side(side).load_state(without_prefix(side, state))


def losses(logit_BL: Tensor, label_B: Tensor) -> Tensor:
    """(B,): of two classes the squared error of the second's probability (eq. 3), of several the
    cross-entropy (eq. 4)."""
    if logit_BL.shape[1] == 1:
        return (logit_BL.squeeze(1).sigmoid() - label_B).square()
    return functional.cross_entropy(logit_BL, label_B, reduction="none")
