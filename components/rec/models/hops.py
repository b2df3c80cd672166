"""Products with the normalised graph on a CPU, as kernels over its compressed rows.

A `Half` is the rows of all users, whose neighbours are items, or the other way round. No row is written by
two threads, and each is summed in the order of its neighbours.
"""

from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt

from components.compiled import njit, prange, prefetch

Table = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]
_NUM_BLOCKS: Final = 64  # of rows, with about as many neighbours in each
_AHEAD: Final = 24  # neighbours between a row's being asked for and its being read
_LINE: Final = 16  # floats in a cache line


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
    """One side's rows.

    Attributes:
        offsets: (rows + 1,) int64 into `neighbors` and `weights`.
        neighbors: places in the other side's table, int32.
        weights: float32.
        blocks: where blocks of rows begin, and the end.
    """

    offsets: Places
    neighbors: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]
    blocks: Places

    @classmethod
    def of(cls, offsets: Places, neighbors: Places, weights: Table) -> "Half":
        shares = np.linspace(offsets[0], offsets[-1], _NUM_BLOCKS + 1)
        blocks = np.searchsorted(offsets, shares)
        blocks[0], blocks[-1] = 0, len(offsets) - 1
        return cls(offsets, neighbors.astype(np.int32), weights, blocks)

    def hop(self, source: Table, own: Table, out: Table) -> None:
        """out = own + Â · source."""
        _hop(self.blocks, self.offsets, self.neighbors, self.weights, source, own, out)

    def hop_rows(self, rows: Places, source: Table, own: Table, scale: float, out: Table) -> None:
        """The same for some distinct rows alone, times `scale`."""
        _hop_rows(rows, self.offsets, self.neighbors, self.weights, source, own, scale, out)

    def pull(self, source: Table, own: SparseRows, out: Table) -> None:
        """out = own + Â · source, where `own` has few rows."""
        _pull(self.blocks, self.offsets, self.neighbors, self.weights, source, own.slot, own.values, out)

    def pull_sparse(self, source: SparseRows, own: SparseRows, out: Table) -> None:
        """out = own + Â · source, where both have few rows."""
        _pull_sparse(
            self.blocks,
            self.offsets,
            self.neighbors,
            self.weights,
            source.slot,
            source.values,
            own.slot,
            own.values,
            out,
        )


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
def _add_neighbors(offsets: Any, neighbors: Any, weights: Any, source: Any, row: int, out: Any) -> None:
    """Add a row of Â · source to that of `out`. Neighbours lie anywhere in memory: ask for them early."""
    dim, last = source.shape[1], len(neighbors) - 1
    for place in range(offsets[row], offsets[row + 1]):
        soon = neighbors[min(place + _AHEAD, last)]
        for d in range(0, dim, _LINE):
            prefetch(source, soon, d)
        neighbor, weight = neighbors[place], weights[place]
        for d in range(dim):
            out[row, d] += weight * source[neighbor, d]


@njit(parallel=True)
def _hop(blocks: Any, offsets: Any, neighbors: Any, weights: Any, source: Any, own: Any, out: Any) -> None:
    for block in prange(len(blocks) - 1):
        for row in range(blocks[block], blocks[block + 1]):
            for d in range(out.shape[1]):
                out[row, d] = own[row, d]
            _add_neighbors(offsets, neighbors, weights, source, row, out)


@njit(parallel=True)
def _hop_rows(
    rows: Any, offsets: Any, neighbors: Any, weights: Any, source: Any, own: Any, scale: float, out: Any
) -> None:
    factor = np.float32(scale)
    for place in prange(len(rows)):
        row = rows[place]
        for d in range(out.shape[1]):
            out[row, d] = own[row, d]
        _add_neighbors(offsets, neighbors, weights, source, row, out)
        for d in range(out.shape[1]):
            out[row, d] *= factor


@njit(parallel=True)
def _pull(
    blocks: Any, offsets: Any, neighbors: Any, weights: Any, source: Any, slot: Any, values: Any, out: Any
) -> None:
    for block in prange(len(blocks) - 1):
        for row in range(blocks[block], blocks[block + 1]):
            _begin(slot, values, row, out)
            _add_neighbors(offsets, neighbors, weights, source, row, out)


@njit(parallel=True)
def _pull_sparse(
    blocks: Any, offsets: Any, neighbors: Any, weights: Any, source_slot: Any, source: Any, slot: Any,
    values: Any, out: Any,
) -> None:  # fmt: skip
    for block in prange(len(blocks) - 1):
        for row in range(blocks[block], blocks[block + 1]):
            _begin(slot, values, row, out)
            for place in range(offsets[row], offsets[row + 1]):
                other = source_slot[neighbors[place]]
                if other >= 0:
                    weight = weights[place]
                    for d in range(out.shape[1]):
                        out[row, d] += weight * source[other, d]


@njit()
def _begin(slot: Any, values: Any, row: int, out: Any) -> None:
    """A row of `out` becomes its own value, where it has one."""
    own = slot[row]
    for d in range(out.shape[1]):
        out[row, d] = values[own, d] if own >= 0 else 0.0
