"""What a learner asks of an optimizer."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Final

from torch import Tensor

BETA_1: Final = 0.9
BETA_2: Final = 0.999
EPSILON: Final = 1e-8


class Optimizer(ABC):
    """Adam (Kingma & Ba 2015) with its usual constants, over parameters that carry gradients."""

    @abstractmethod
    def zero_grad(self) -> None:
        """Forget the gradients."""

    @abstractmethod
    def step(self) -> None:
        """Move the parameters along their gradients."""

    @abstractmethod
    def settle(self) -> None:
        """Make what was put off: then every weight stands as after the last step."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """All that goes on from here need, besides the weights as they are now, settled or not."""

    @abstractmethod
    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state` gave."""
