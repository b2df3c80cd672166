"""Kullback–Leibler divergence from smoothed labels."""

from typing import final

import torch
from torch import Tensor

from components.core.recipe.classification import KullbackLeibler
from components.rec.classifiers.base import log_probabilities
from components.rec.losses.base import ClassLoss


@final
class KullbackLeiblerLoss(ClassLoss):
    """KL(y′ ‖ ŷ) = Σ_c y′_c (ln y′_c − ln ŷ_c) with y′ = (1 − s) y + s / C (AutoLoss §3.4).

    Of hard labels, s = 0, it is the cross-entropy: there the paper's columns KL and CE can only differ by
    how an implementation clips probabilities. Smoothing makes it a loss of its own.
    """

    def __init__(self, config: KullbackLeibler) -> None:
        self._smoothing = config.smoothing

    def __call__(self, logit_BL: Tensor, label_B: Tensor) -> Tensor:
        log_p_BC = log_probabilities(logit_BL)
        spread = self._smoothing / log_p_BC.shape[1]
        target_BC = torch.full_like(log_p_BC, spread, requires_grad=False)
        target_BC.scatter_(1, label_B[:, None], 1 - self._smoothing + spread)
        return (torch.xlogy(target_BC, target_BC) - target_BC * log_p_BC).sum(dim=1)
