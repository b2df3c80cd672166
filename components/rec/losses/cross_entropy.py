"""Cross-entropy."""

from typing import final

from torch import Tensor

from components.core.recipe.classification import CrossEntropy
from components.rec.classifiers.base import log_probabilities
from components.rec.losses.base import ClassLoss


@final
class CrossEntropyLoss(ClassLoss):
    """−ln ŷ of the label's class (AutoLoss §3.4)."""

    def __init__(self, config: CrossEntropy) -> None:
        del config  # nothing to choose

    def __call__(self, logit_BL: Tensor, label_B: Tensor) -> Tensor:
        return -log_probabilities(logit_BL).gather(1, label_B[:, None]).squeeze(1)
