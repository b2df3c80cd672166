"""Batches without end, for what learns beside the training loop."""

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from components.rec.fields import ExampleBatch, Examples


@final
class EndlessBatches:
    """Batches of examples, shuffled anew for every pass.

    All batches are of the same size, all examples where there are fewer; what is left at the end of a pass
    is left out, so that batch norm sees no small batches.
    """

    def __init__(self, examples: Examples, batch_size: int, seed: int) -> None:
        self._examples = examples
        self._size = min(batch_size, len(examples))
        self._generator = torch.Generator().manual_seed(seed)  # on the CPU, as the loop's order is
        self._begin_pass()

    def _begin_pass(self) -> None:
        self._pass_start, self._next = self._generator.get_state(), 0
        self._order = torch.randperm(len(self._examples), generator=self._generator)

    def draw(self) -> ExampleBatch:
        """The next batch."""
        if self._next + self._size > len(self._order):
            self._begin_pass()
        index_B = self._order[self._next : self._next + self._size]
        self._next += self._size
        return self._examples.select(index_B.to(self._examples.label_N.device))

    def state(self) -> dict[str, Tensor]:
        """Where it is."""
        return {"pass_start": self._pass_start, "next": torch.tensor(self._next)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state` gave."""
        self._generator.set_state(state["pass_start"].cpu())
        self._begin_pass()
        self._next = int(state["next"])
