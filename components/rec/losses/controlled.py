"""Losses that a frozen controller weighs for each example."""

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from components.core.recipe.classification import Controlled
from components.rec.controller import ControllerNetwork
from components.rec.gumbel import gumbel_softmax
from components.rec.losses.base import ClassLoss
from components.rec.losses.candidates import CandidateLosses


@final
class ControlledLoss(ClassLoss):
    """Σ pₜ ℓₜ with p drawn from what a trained controller says of an example (AutoLoss eq. 11, §3.5).

    The controller is in eval mode: no dropout, and the statistics of its own training. It looks at
    predictions and passes no gradient back to them.

    Args:
        generator: of Gumbel noise, on the predictions' device.
    """

    def __init__(self, config: Controlled, controller: ControllerNetwork, generator: torch.Generator) -> None:
        self._gumbel, self._temperature = config.gumbel, config.temperature
        self._candidates = CandidateLosses(config.losses)
        self._controller = controller.eval()
        self._generator = generator

    def __call__(self, logit_BL: Tensor, label_B: Tensor) -> Tensor:
        return (self._weights(logit_BL, label_B) * self._candidates(logit_BL, label_B)).sum(dim=1)

    @torch.no_grad()
    def _weights(self, logit_BL: Tensor, label_B: Tensor) -> Tensor:
        log_alpha_BT: Tensor = self._controller(label_B, logit_BL)
        if not self._gumbel:
            return log_alpha_BT.exp()
        return gumbel_softmax(log_alpha_BT, self._temperature, self._generator)

    def state(self) -> dict[str, Tensor]:
        return {"gumbel": self._generator.get_state()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self._generator.set_state(state["gumbel"].cpu())
