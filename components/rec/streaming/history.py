"""The past of a stream, to draw from (ESAPN Algorithm 1, line 2)."""

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from components.rec.streaming.model import StreamBatch


@final
class History:
    """The last interactions of a stream, in memory of a fixed size.

    Args:
        capacity: how many are kept at most.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._kept_N3 = torch.empty(0, 3, dtype=torch.int32)  # user, item, label
        self._count = 0  # of all that were ever entered

    def __len__(self) -> int:
        return min(self._count, self._capacity)

    def enter(self, batch: StreamBatch) -> None:
        """Keep a batch; it takes the place of the oldest where there is no more room."""
        rows_B3 = torch.stack([batch.user_B, batch.item_B, batch.label_B], dim=1).to(torch.int32)
        rows_B3 = rows_B3[-self._capacity :]
        self._make_room(len(self) + len(rows_B3))
        first = self._count + len(batch) - len(rows_B3)
        self._kept_N3[torch.arange(first, first + len(rows_B3)) % self._capacity] = rows_B3
        self._count += len(batch)

    def sample(self, size: int, generator: torch.Generator) -> StreamBatch | None:
        """So many of them at random, with replacement; None where there are none."""
        if not len(self):
            return None
        rows_B3 = self._kept_N3[torch.randint(len(self), (size,), generator=generator)].to(torch.int64)
        return StreamBatch(*rows_B3.unbind(dim=1))

    def _make_room(self, num_rows: int) -> None:
        room = len(self._kept_N3)
        if num_rows > room and room < self._capacity:
            grown = self._kept_N3.new_zeros(min(2 * num_rows, self._capacity), 3)
            grown[:room] = self._kept_N3
            self._kept_N3 = grown

    def state(self) -> dict[str, Tensor]:
        """All of it."""
        return {"kept": self._kept_N3[: len(self)], "count": torch.tensor(self._count)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state` gave."""
        self._count = int(state["count"])
        self._kept_N3 = state["kept"].clone()
