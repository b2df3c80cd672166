"""Several losses of the same predictions."""

from typing import final

import torch
from torch import Tensor

from components.core.recipe.classification import Candidates
from components.rec.losses.base import ClassLoss


@final
class CandidateLosses:
    """The losses to weigh (AutoLoss eq. 7)."""

    def __init__(self, configs: Candidates) -> None:
        self._losses: list[ClassLoss] = [config.load()(config) for config in configs]

    def __call__(self, logit_BL: Tensor, label_B: Tensor) -> Tensor:
        """(B, T) each of the T losses of each example."""
        return torch.stack([loss(logit_BL, label_B) for loss in self._losses], dim=1)
