"""A weighted sum of losses."""

from typing import final

import torch
from torch import Tensor

from components.core.recipe.classification import Weighted
from components.rec.losses.base import ClassLoss
from components.rec.losses.candidates import CandidateLosses


@final
class WeightedLoss(ClassLoss):
    """Σ αₜ ℓₜ with the same α for all examples (AutoLoss eq. 8)."""

    def __init__(self, config: Weighted) -> None:
        num_losses = len(config.losses)
        self._candidates = CandidateLosses(config.losses)
        self._weight_T = torch.tensor(config.weights or [1 / num_losses] * num_losses)

    def __call__(self, logit_BL: Tensor, label_B: Tensor) -> Tensor:
        return self._candidates(logit_BL, label_B) @ self._weight_T.to(logit_BL)
