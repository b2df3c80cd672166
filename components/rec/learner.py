"""What the training loop drives."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


class Learner(ABC):
    """One optimisation step at a time. A learner that needs more than the train batch (validation
    batches, history) draws it itself from the data it was built with, at its own pace.

    Attributes:
        model: what is validated and kept.
    """

    model: nn.Module

    @abstractmethod
    def step(self, batch: Any) -> None:
        """Update everything that learns on one batch of the data."""

    @abstractmethod
    def end_epoch(self) -> dict[str, float]:
        """The epoch's record, such as mean losses; settles the weights and starts the next epoch."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """All that a learner resumed within an epoch needs besides the model's weights as they are now."""

    @abstractmethod
    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state` gave."""

    def kept(self) -> dict[str, Tensor]:
        """What is kept of the best epoch besides the model's weights: nothing, unless a search says more."""
        return {}
