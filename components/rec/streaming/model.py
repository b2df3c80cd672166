"""The recommendation model of a stream: two embeddings of any size, one hidden layer (ESAPN §2.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from components.rec.mlp import fully_connected
from components.rec.streaming.sized_table import Rows, SizedTable
from components.rec.streaming.unify import Unify
from components.rec.weights import prefixed, without_prefix

Side = Literal["user", "item"]
SIDES: Final[tuple[Side, Side]] = ("user", "item")


@final
@dataclass(frozen=True)
class StreamBatch:
    """B interactions, in the order of the stream. Ids are dense by first appearance: a table has an embedding
    for every id up to the largest that it has seen."""

    user_B: Tensor
    item_B: Tensor
    label_B: Tensor

    def __len__(self) -> int:
        return len(self.label_B)

    def ids(self, side: Side) -> Tensor:
        """(B,) of one side."""
        return self.user_B if side == "user" else self.item_B


@final
class StreamModel(nn.Module):
    """h = tanh(W₁ [ê_u : ê_i] + b₁), and a linear layer: one logit for two classes, that of the second, else
    one for each.

    The tables grow, and so are no parameters: `state` has everything.

    Args:
        sizes: D of users and items, which ascend; a single one is the baseline FIXED.
        num_classes: of the label.
        hidden: width of the hidden layer.
        std: standard deviation of an embedding's first values.
        generator: (CPU) draws all first values, also those of ids that come later.
    """

    def __init__(
        self, sizes: tuple[int, ...], num_classes: int, hidden: int, std: float, *, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.tables: dict[Side, SizedTable] = {
            side: SizedTable(sizes, std, generator=_split(generator)) for side in SIDES
        }
        self.unify = nn.ModuleDict({side: Unify(sizes, generator=generator) for side in SIDES})
        self.hidden = fully_connected(2 * sizes[-1], hidden, generator=generator)
        self.output = fully_connected(hidden, 1 if num_classes == 2 else num_classes, generator=generator)

    def know(self, batch: StreamBatch) -> None:
        """Give embeddings to ids that are new."""
        for side, table in self.tables.items():
            table.extend(int(batch.ids(side).max()) + 1)

    def rows(self, batch: StreamBatch) -> dict[Side, Rows]:
        """The embeddings that a batch needs."""
        return {side: table.rows(batch.ids(side)) for side, table in self.tables.items()}

    def forward(self, rows: Mapping[Side, Rows], *, remember: bool = False) -> Tensor:
        """(B, L) logits.

        Args:
            remember: whether running statistics learn from the batch first.
        """
        unified = [
            self.unify[side](rows[side].values, remember=remember)[rows[side].place_B] for side in SIDES
        ]
        logit_BL: Tensor = self.output(torch.tanh(self.hidden(torch.cat(unified, dim=1))))
        return logit_BL

    def maps(self, side: Side) -> list[nn.Linear]:
        """The linear maps from each size to the next."""
        unify = self.unify[side]
        assert isinstance(unify, Unify)
        return [layer for layer in unify.maps if isinstance(layer, nn.Linear)]

    def state(self) -> dict[str, Tensor]:
        """Weights, running statistics and tables."""
        tables = [prefixed(f"table.{side}", table.state()) for side, table in self.tables.items()]
        return {**prefixed("network", self.state_dict()), **tables[0], **tables[1]}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state` gave."""
        self.load_state_dict(without_prefix("network", state))
        for side, table in self.tables.items():
            table.load_state(without_prefix(f"table.{side}", state))


def losses(logit_BL: Tensor, label_B: Tensor) -> Tensor:
    """(B,): of two classes the squared error of the second's probability (eq. 3), of several the
    cross-entropy (eq. 4)."""
    if logit_BL.shape[1] == 1:
        return (logit_BL.squeeze(1).sigmoid() - label_B).square()
    return functional.cross_entropy(logit_BL, label_B, reduction="none")


def _split(generator: torch.Generator) -> torch.Generator:
    """A generator of its own, that follows from this one."""
    return torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator)))
