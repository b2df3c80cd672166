"""Focal loss (Lin et al. 2017)."""

from typing import final

import torch
from torch import Tensor

from components.core.recipe.classification import Focal
from components.rec.classifiers.base import log_probabilities
from components.rec.losses.base import ClassLoss


@final
class FocalLoss(ClassLoss):
    """−(1 − ŷ)^γ ln ŷ of the label's class (Lin et al. 2017, eq. 4, without class weights).

    1 − ŷ is the sum of the other classes' probabilities, and its power is taken of their logarithm: so
    nothing is lost where ŷ is nearly 1, and a γ below 1 has a finite gradient there.
    """

    def __init__(self, config: Focal) -> None:
        self._gamma = config.gamma

    def __call__(self, logit_BL: Tensor, label_B: Tensor) -> Tensor:
        log_p_BC, label_B1 = log_probabilities(logit_BL), label_B[:, None]
        own_B = log_p_BC.gather(1, label_B1).squeeze(1)
        others_B = log_p_BC.scatter(1, label_B1, -torch.inf).logsumexp(dim=1)
        return -(self._gamma * others_B).exp() * own_B
