"""Several optimizers as one."""

from collections.abc import Mapping
from typing import final

from torch import Tensor

from components.rec.optimizers.base import Optimizer
from components.rec.weights import prefixed, without_prefix


@final
class Together(Optimizer):
    """Each moves its own parameters; they have a name each."""

    def __init__(self, optimizers: Mapping[str, Optimizer]) -> None:
        self._optimizers = optimizers

    def zero_grad(self) -> None:
        for optimizer in self._optimizers.values():
            optimizer.zero_grad()

    def step(self) -> None:
        for optimizer in self._optimizers.values():
            optimizer.step()

    def settle(self) -> None:
        for optimizer in self._optimizers.values():
            optimizer.settle()

    def state(self) -> dict[str, Tensor]:
        return {
            key: tensor
            for name, optimizer in self._optimizers.items()
            for key, tensor in prefixed(name, optimizer.state()).items()
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        for name, optimizer in self._optimizers.items():
            optimizer.load_state(without_prefix(name, state))
