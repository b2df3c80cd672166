"""Bayesian personalised ranking (Rendle et al. 2009)."""

from typing import final

from torch import Tensor
from torch.nn.functional import softplus

from components.core.recipe.ranking import BprLoss
from components.rec.losses.base import PairwiseLoss


@final
class Bpr(PairwiseLoss):
    """−Σ ln σ(positive − negative), AutoSample eq. 1."""

    def __init__(self, config: BprLoss) -> None:
        del config  # nothing to choose

    def __call__(self, positive_B: Tensor, negative_BN: Tensor) -> Tensor:
        return softplus(negative_BN - positive_B[:, None]).sum(dim=1)  # −ln σ(x) = softplus(−x)
