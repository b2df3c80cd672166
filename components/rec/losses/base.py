"""What a loss is: of rankings, and of classes."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor


class PairwiseLoss(ABC):
    """Compares a positive's score with its negatives'."""

    @abstractmethod
    def __call__(self, positive_B: Tensor, negative_BN: Tensor) -> Tensor:
        """(B,) one loss per positive, summed over its N negatives."""


class ClassLoss(ABC):
    """Compares predictions with labels. Finite, as are its gradients, for logits of any usual size."""

    @abstractmethod
    def __call__(self, logit_BL: Tensor, label_B: Tensor) -> Tensor:
        """(B,) one loss per example.

        Args:
            logit_BL: one logit for two classes, that of the second; else one for each class.
            label_B: int64, the place of each example's class.
        """

    def state(self) -> dict[str, Tensor]:
        """What training resumed within an epoch needs; most keep nothing."""
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state` gave."""
        del state
