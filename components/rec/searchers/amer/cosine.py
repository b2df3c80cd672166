"""The rate of a one-shot training."""

import math
from dataclasses import dataclass
from typing import final


@final
@dataclass
class Cosine:
    """A learning rate that goes down along one cosine to zero (SGDR without a restart, Loshchilov & Hutter
    2017).

    Attributes:
        first: the rate of the first step.
        num_steps: of the whole training.
        step: how many were made.
    """

    first: float
    num_steps: int
    step: int = 0

    @property
    def rate(self) -> float:
        """At the next step."""
        return self.first * (1 + math.cos(math.pi * self.step / self.num_steps)) / 2
