"""Sampled binary cross-entropy (AMER eq. 7)."""

from typing import final

from torch import Tensor
from torch.nn.functional import softplus

from components.core.recipe.ranking import BceLoss
from components.rec.losses.base import PairwiseLoss


@final
class Bce(PairwiseLoss):
    """−ln σ(positive) − Σ ln(1 − σ(negative))."""

    def __init__(self, config: BceLoss) -> None:
        del config  # nothing to choose

    def __call__(self, positive_B: Tensor, negative_BN: Tensor) -> Tensor:
        return softplus(-positive_B) + softplus(negative_BN).sum(dim=1)
