"""The embeddings of one side of a stream, users or items, as vectors of one length."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor, nn

from components.rec.streaming.seen import Seen
from components.rec.streaming.sized_table import Rows, SizedTable
from components.rec.streaming.unify import Unify
from components.rec.weights import prefixed, without_prefix


class Embeddings(nn.Module, ABC):
    """What is known of a growing number of ids: their embeddings, and what the stream has shown of them.

    Tables grow, and so are no parameters: `state` has everything.

    Attributes:
        width: of the vectors.
        seen: how often each id came, and its last losses.
    """

    def __init__(self, width: int, num_losses: int) -> None:
        super().__init__()
        self.width, self.seen = width, Seen(num_losses)

    @abstractmethod
    def __len__(self) -> int:
        """How many ids are known."""

    def extend(self, num_ids: int) -> None:
        """Know ids up to this number."""
        self.seen.extend(num_ids)
        self._extend(num_ids)

    @abstractmethod
    def _extend(self, num_ids: int) -> None:
        """Give embeddings to ids that are new."""

    @abstractmethod
    def rows(self, id_B: Tensor) -> Any:
        """What a batch needs, as leaves for one step."""

    @abstractmethod
    def forward(self, rows: Any, *, remember: bool = False) -> Tensor:
        """(B, width) vectors.

        Args:
            remember: whether running statistics learn from the batch first.
        """

    @abstractmethod
    def step(self, rows: Any, learning_rate: float) -> None:
        """One step of Adam along the gradients of some rows."""

    @abstractmethod
    def size_of(self, id_B: Tensor) -> Tensor:
        """(B,) int64: how many numbers each id's embedding has."""

    @abstractmethod
    def counts(self) -> dict[int, int]:
        """Size → how many embeddings have it (ESAPN Table 2)."""

    @abstractmethod
    def bytes(self) -> dict[int, int]:
        """Size → what its embeddings take, spare room included, without optimizer state."""

    @abstractmethod
    def served(self) -> tuple[Tensor, Tensor]:
        """What is stored of each id: how many numbers (N,), and all of them one after another."""

    @abstractmethod
    def affine(self) -> dict[int, tuple[Tensor, Tensor]]:
        """Stored size d → A (W, d) and c (W,) by which a vector is tanh(A e + c); empty where what is stored
        are the vectors."""

    @abstractmethod
    def unknown(self) -> Tensor:
        """(W,) the vector of an id that nobody has seen: of an embedding of zeros."""

    def state(self) -> dict[str, Tensor]:
        """Weights, running statistics, embeddings and what has been seen."""
        return {
            **prefixed("network", self.state_dict()),
            **prefixed("table", self._table_state()),
            **prefixed("seen", self.seen.state()),
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state` gave."""
        self.load_state_dict(without_prefix("network", state))
        self._load_table(without_prefix("table", state))
        self.seen.load_state(without_prefix("seen", state))

    @abstractmethod
    def _table_state(self) -> dict[str, Tensor]: ...

    @abstractmethod
    def _load_table(self, state: Mapping[str, Tensor]) -> None: ...


@final
class SizedEmbeddings(Embeddings):
    """One embedding for each id, of the size that the id has now (ESAPN §2.2).

    Args:
        sizes: D, which ascend; a single one is the baseline FIXED.
        std: standard deviation of an embedding's first values.
        num_losses: T of eq. 2; 0 where nobody asks for losses.
        generator: (CPU) draws all first values, also those of ids that come later.
    """

    def __init__(
        self, sizes: Sequence[int], std: float, num_losses: int = 0, *, generator: torch.Generator
    ) -> None:
        super().__init__(sizes[-1], num_losses)
        self.table = SizedTable(sizes, std, generator=split(generator))
        self.unify = Unify(sizes, generator=generator)

    def __len__(self) -> int:
        return len(self.table)

    def _extend(self, num_ids: int) -> None:
        self.table.extend(num_ids)

    def rows(self, id_B: Tensor) -> Rows:
        return self.table.rows(id_B)

    def forward(self, rows: Rows, *, remember: bool = False) -> Tensor:
        unified_RW: Tensor = self.unify(rows.values, rows.size_R, remember=remember)
        return unified_RW.index_select(0, rows.place_B)

    def step(self, rows: Rows, learning_rate: float) -> None:
        self.table.step(rows, learning_rate)

    def place_of(self, id_B: Tensor) -> Tensor:
        """(B,) int64: the place of each id's size in D."""
        return self.table.size_of(id_B)

    def size_of(self, id_B: Tensor) -> Tensor:
        return torch.tensor(self.table.sizes)[self.place_of(id_B)]

    def begin(self, size_N: Tensor) -> None:
        """Know the first ids, whose embeddings begin with random values and these sizes."""
        self.seen.extend(len(size_N))
        self.table.extend(len(size_N), torch.searchsorted(torch.tensor(self.table.sizes), size_N))

    def enlarge(self, id_N: Tensor) -> None:
        """Give distinct ids the next larger size, for good (§2.3.3)."""
        self.table.enlarge(id_N, self.maps)

    @property
    def maps(self) -> list[nn.Linear]:
        """The linear maps from each size to the next."""
        return [layer for layer in self.unify.maps if isinstance(layer, nn.Linear)]

    def counts(self) -> dict[int, int]:
        return dict(zip(self.table.sizes, self.table.counts(), strict=True))

    def bytes(self) -> dict[int, int]:
        return dict(zip(self.table.sizes, self.table.bytes(), strict=True))

    def served(self) -> tuple[Tensor, Tensor]:
        return self.table.flat()

    def affine(self) -> dict[int, tuple[Tensor, Tensor]]:
        return {size: self.unify.affine(place) for place, size in enumerate(self.table.sizes)}

    def unknown(self) -> Tensor:
        _, bias_W = self.unify.affine(0)
        return torch.tanh(bias_W)

    def _table_state(self) -> dict[str, Tensor]:
        return self.table.state()

    def _load_table(self, state: Mapping[str, Tensor]) -> None:
        self.table.load_state(state)


def split(generator: torch.Generator) -> torch.Generator:
    """A generator of its own, that follows from this one."""
    return torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator)))
