"""Categorical hinge."""

from typing import final

import torch
from torch import Tensor

from components.core.recipe.classification import Hinge
from components.rec.classifiers.base import log_probabilities
from components.rec.losses.base import ClassLoss


@final
class HingeLoss(ClassLoss):
    """max(0, 1 + the largest score of another class − that of the label's class) (AutoLoss §3.4).

    Scores are probabilities ŷ, as eq. 7 has it, or logits. Of two classes with one logit z the margin of
    logits is t z, t = ±1, as if they had the logits −z / 2 and z / 2. Log-probabilities stand for logits:
    they differ by what an example's classes have in common.
    """

    def __init__(self, config: Hinge) -> None:
        self._of = config.of

    def __call__(self, logit_BL: Tensor, label_B: Tensor) -> Tensor:
        log_p_BC, label_B1 = log_probabilities(logit_BL), label_B[:, None]
        score_BC = log_p_BC.exp() if self._of == "probability" else log_p_BC
        own_B = score_BC.gather(1, label_B1).squeeze(1)
        rival_B = score_BC.scatter(1, label_B1, -torch.inf).amax(dim=1)
        return (1 + rival_B - own_B).relu()
