"""What a ranking loss is."""

from abc import ABC, abstractmethod

from torch import Tensor


class PairwiseLoss(ABC):
    """Compares a positive's score with its negatives'."""

    @abstractmethod
    def __call__(self, positive_B: Tensor, negative_BN: Tensor) -> Tensor:
        """(B,) one loss per positive, summed over its N negatives."""
