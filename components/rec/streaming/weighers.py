"""How much each size of embedding counts where an id has all of them (ESAPN §3.3)."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor, nn

from components.rec.mlp import fully_connected
from components.rec.streaming.sized_table import SizedTable


class Weigher(ABC):
    """Says how much each size counts for an id. It is no module: who trains the model does not train it."""

    @abstractmethod
    def extend(self, num_ids: int) -> None:
        """Know ids up to this number."""

    @abstractmethod
    def logits(self, id_R: Tensor, frequency_R: Tensor) -> Tensor:
        """(R, K) of the weights of distinct ids."""

    @abstractmethod
    def unknown(self) -> Tensor:
        """(1, K) of an id that nobody has seen."""

    @abstractmethod
    def learn(self, id_R: Tensor, frequency_R: Tensor, gradient_RK: Tensor, learning_rate: float) -> None:
        """Take gradients of `logits`: `parameters` get theirs, what grows makes one step of Adam."""

    @abstractmethod
    def parameters(self) -> list[Tensor]:
        """What does not grow with the ids, and is for somebody else's optimizer."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """All of it."""

    @abstractmethod
    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state` gave."""


@final
class FreeWeigher(Weigher):
    """Logits of its own for each id, which begin as 0 (DARTS, Liu et al. 2019).

    Args:
        num_sizes: K.
    """

    def __init__(self, num_sizes: int) -> None:
        self._table = SizedTable((num_sizes,), 0.0, generator=torch.Generator())

    def extend(self, num_ids: int) -> None:
        self._table.extend(num_ids)

    def logits(self, id_R: Tensor, frequency_R: Tensor) -> Tensor:
        rows = self._table.rows(id_R)
        return rows.values[0][rows.place_B]

    def unknown(self) -> Tensor:
        return torch.zeros(1, *self._table.sizes)

    def learn(self, id_R: Tensor, frequency_R: Tensor, gradient_RK: Tensor, learning_rate: float) -> None:
        rows = self._table.rows(id_R)
        rows.values[0][rows.place_B].backward(gradient_RK)  # type: ignore[no-untyped-call]  # torch
        self._table.step(rows, learning_rate)

    def parameters(self) -> list[Tensor]:
        return []

    def state(self) -> dict[str, Tensor]:
        return self._table.state()

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self._table.load_state(state)


@final
class FrequencyWeigher(Weigher):
    """A controller: from the frequency, embedded as in `PolicyNetwork`, through one hidden layer to logits
    (AutoEmb, Zhao et al. 2020).

    A departure: AutoEmb also tells its controllers of an id's last weights and losses. ESAPN §3.3 describes
    them by the frequency alone.

    Args:
        num_sizes: K.
        num_frequencies: larger ones share an embedding.
        frequency_dim: length of a frequency's embedding.
        hidden: width of the hidden layer.
        generator: (CPU) draws the initial weights.
    """

    def __init__(
        self,
        num_sizes: int,
        num_frequencies: int,
        frequency_dim: int,
        hidden: int,
        *,
        generator: torch.Generator,
    ) -> None:
        frequency_FD = torch.randn(num_frequencies, frequency_dim, generator=generator)
        self._network = nn.Sequential(
            nn.Embedding.from_pretrained(frequency_FD, freeze=False),  # type: ignore[no-untyped-call]  # torch
            fully_connected(frequency_dim, hidden, generator=generator),
            nn.Tanh(),
            fully_connected(hidden, num_sizes, generator=generator),
        )
        self._last = num_frequencies - 1

    def extend(self, num_ids: int) -> None:
        """Nothing: it does not tell ids apart."""

    def logits(self, id_R: Tensor, frequency_R: Tensor) -> Tensor:
        logit_RK: Tensor = self._network(frequency_R.clamp(max=self._last))
        return logit_RK

    def unknown(self) -> Tensor:
        never = torch.zeros(1, dtype=torch.int64)
        return self.logits(never, never)

    def learn(self, id_R: Tensor, frequency_R: Tensor, gradient_RK: Tensor, learning_rate: float) -> None:
        self.logits(id_R, frequency_R).backward(gradient_RK)  # type: ignore[no-untyped-call]  # torch

    def parameters(self) -> list[Tensor]:
        return list(self._network.parameters())

    def state(self) -> dict[str, Tensor]:
        return self._network.state_dict()

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self._network.load_state_dict(state)
