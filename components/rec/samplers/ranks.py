"""What stands for the ranks of a user's items."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from components.rec.models.base import Encoded

DrawRanks = Callable[[Tensor, int], Tensor]


class Ranks(ABC):
    """Says which unobserved items stand at ranks, 0 the highest score."""

    @abstractmethod
    def draw(
        self,
        encoded: Encoded,
        user_B: Tensor,
        num_negatives: int,
        ranks: DrawRanks,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        """(B, N) items at ranks that `ranks(users (R,), count)` draws as (R, count)."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """What goes on from here needs."""

    @abstractmethod
    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state` gave."""
