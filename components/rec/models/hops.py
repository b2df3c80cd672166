"""Products with the normalised graph on a CPU: of all rows by torch's embedding_bag, of some by kernels.

embedding_bag sums a row in vector registers and asks for the next neighbours early; Numba's code takes more
than twice as long for whole tables, but need not touch what is not asked for. No row is written by two
threads, and each is summed in the order of its neighbours.
"""

from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from components.compiled import njit, prange, prefetch_row

Table = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]
_AHEAD: Final = 24  # neighbours between a row's being asked for and its being read


@final
@dataclass(frozen=True)
class SparseRows:
    """A table that is zero but for R distinct rows.

    Attributes:
        rows: (R,).
        values: (R, D).
        slot: (all rows,) int32, a row's place in `rows`, or -1.
    """

    rows: Places
    values: Table
    slot: npt.NDArray[np.int32]

    @classmethod
    def of(cls, rows: Places, values: Table, num_rows: int) -> "SparseRows":
        slot = np.full(num_rows, -1, np.int32)
        slot[rows] = np.arange(len(rows), dtype=np.int32)
        return cls(rows, values, slot)


@final
@dataclass(frozen=True)
class Half:
    """The rows of all users, whose neighbours are items, or the other way round.

    Attributes:
        offsets: (rows + 1,) into `neighbors` and `weights`, int32.
        neighbors: places in the other side's table, int32.
        weights: float32.
    """

    offsets: Tensor
    neighbors: Tensor
    weights: Tensor

    def hop(self, source: Tensor, own: Tensor) -> Tensor:
        """own + Â · source."""
        return self._product(source).add_(own)

    def hop_rows(self, rows: Places, source: Tensor, own: Tensor, scale: float, out: Tensor) -> None:
        """The same for some distinct rows of `out` alone, times `scale`."""
        offsets, neighbors, weights = self._arrays()
        _hop_rows(rows, offsets, neighbors, weights, source.numpy(), own.numpy(), out.numpy(), scale)

    def pull(self, source: Tensor, own: SparseRows) -> Tensor:
        """own + Â · source, where `own` has few rows."""
        out = self._product(source)
        out[torch.from_numpy(own.rows)] += torch.from_numpy(own.values)
        return out

    def pull_sparse(self, source: SparseRows, own: SparseRows, other: "Half") -> Tensor:
        """own + Â · source, where both have few rows; `other` is the other half."""
        out = torch.zeros(len(self.offsets) - 1, own.values.shape[1])
        out[torch.from_numpy(own.rows)] = torch.from_numpy(own.values)
        reached = np.zeros(len(out), np.bool_)
        _mark(source.rows, other.offsets.numpy(), other.neighbors.numpy(), reached)
        offsets, neighbors, weights = self._arrays()
        rows = np.flatnonzero(reached)
        _pull_rows(rows, offsets, neighbors, weights, source.slot, source.values, out.numpy())
        return out

    def _product(self, source: Tensor) -> Tensor:
        return embedding_bag(
            self.neighbors,
            source,
            self.offsets,
            mode="sum",
            per_sample_weights=self.weights,
            include_last_offset=True,
        )

    def _arrays(self) -> tuple[Any, Any, Any]:
        return self.offsets.numpy(), self.neighbors.numpy(), self.weights.numpy()


@njit()
def missing(rows: Any, present: Any) -> Any:
    """The distinct rows that are not present yet, which they are from now on."""
    found = np.empty(len(rows), np.int64)
    count = 0
    for row in rows:
        if not present[row]:
            present[row] = True
            found[count] = row
            count += 1
    return found[:count]


@njit()
def _mark(rows: Any, offsets: Any, neighbors: Any, reached: Any) -> None:
    for row in rows:
        for place in range(offsets[row], offsets[row + 1]):
            reached[neighbors[place]] = True


@njit(parallel=True)
def _hop_rows(
    rows: Any, offsets: Any, neighbors: Any, weights: Any, source: Any, own: Any, out: Any, scale: float
) -> None:
    factor, dim, last = np.float32(scale), out.shape[1], len(neighbors) - 1
    for place in prange(len(rows)):
        row = rows[place]
        for d in range(dim):
            out[row, d] = own[row, d]
        for edge in range(offsets[row], offsets[row + 1]):
            soon = neighbors[min(edge + _AHEAD, last)]
            prefetch_row(source, soon)
            neighbor, weight = neighbors[edge], weights[edge]
            for d in range(dim):
                out[row, d] += weight * source[neighbor, d]
        for d in range(dim):
            out[row, d] *= factor


@njit(parallel=True)
def _pull_rows(
    rows: Any, offsets: Any, neighbors: Any, weights: Any, slot: Any, source: Any, out: Any
) -> None:
    for place in prange(len(rows)):
        row = rows[place]
        for edge in range(offsets[row], offsets[row + 1]):
            sender = slot[neighbors[edge]]
            if sender >= 0:
                weight = weights[edge]
                for d in range(out.shape[1]):
                    out[row, d] += weight * source[sender, d]
