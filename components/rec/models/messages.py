"""NGCF's messages on a CPU, as kernels over the graph's compressed rows.

Tables of layers are indexed by node, users before items; what is computed for a list of R nodes alone has
a row for each, in the list's order. Lists ascend. No row is written by two threads.
"""

from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt

from components.compiled import njit, prange, prefetch
from components.rec.models.dropout import place_hash, row_key
from components.rec.models.hops import Places, SparseRows, Table

_NUM_BLOCKS: Final = 64  # of rows, with about as much work in each
_ROW_COST: Final = 4  # what a row costs by itself, in neighbours
_AHEAD: Final = 24  # neighbours between a row's being asked for and its being read
_ROWS_AHEAD: Final = 2  # where it is the next rows' neighbours
_LINE: Final = 16  # floats in a cache line


@final
@dataclass(frozen=True)
class Neighborhoods:
    """The normalised graph Â over N nodes.

    Attributes:
        offsets: (N + 1,) int64 into `neighbors` and `weights`.
        neighbors: nodes, int32.
        weights: float32.
    """

    offsets: Places
    neighbors: npt.NDArray[np.int32]
    weights: Table

    @property
    def num_nodes(self) -> int:
        return len(self.offsets) - 1

    def around(self, nodes: Places) -> Places:
        """The nodes and all their neighbours."""
        reached = np.zeros(self.num_nodes, np.bool_)
        reached[nodes] = True
        _mark(nodes, self.offsets, self.neighbors, reached)
        return np.flatnonzero(reached)

    def mix(self, nodes: Places, source: Table, out: Table) -> None:
        """out = [ÂE + E, ÂE ⊙ E] of the nodes, (R, 2D), for a layer's table E."""
        blocks = self._blocks(nodes)
        _mix(blocks, nodes, self.offsets, self.neighbors, self.weights, source, out)

    def pull(self, nodes: Places, messages: SparseRows, given: SparseRows, column: int, out: Table) -> None:
        """out = Âᵀ M₁ + M₂ + G of the nodes, for messages [M₁, M₂] that `mix_back` left.

        Args:
            given: whose columns from `column` on are G.
        """
        _pull(
            self._blocks(nodes), nodes, self.offsets, self.neighbors, self.weights,
            messages.slot, messages.values, given.slot, given.values, column, out,
        )  # fmt: skip

    def _blocks(self, nodes: Places) -> Places:
        """Where blocks of the list begin, and the end."""
        work = np.cumsum(self.offsets[nodes + 1] - self.offsets[nodes] + _ROW_COST)
        shares = np.linspace(0, work[-1] if len(work) else 0, _NUM_BLOCKS + 1)
        blocks = np.searchsorted(work, shares)
        blocks[-1] = len(nodes)
        return blocks


@njit(parallel=True)
def activate(nodes: Any, sums: Any, slope: float, least: int, scale: float, seed: Any, out: Any) -> None:
    """LeakyReLU and dropout of the nodes' rows, into the layer's table; a scale of 1 means no dropout."""
    low, high = np.float32(slope * scale), np.float32(scale)
    for place in prange(len(nodes)):
        node = nodes[place]
        if scale == 1:
            for d in range(sums.shape[1]):
                value = sums[place, d]
                out[node, d] = value * (high if value > 0 else low)
        else:
            key = row_key(node, seed)
            for d in range(sums.shape[1]):
                value = sums[place, d]
                kept = value * (high if value > 0 else low)
                out[node, d] = kept if place_hash(key, d) >= least else np.float32(0)


@njit(parallel=True)
def activate_back(nodes: Any, table: Any, slope: float, scale: float, gradient: Any) -> None:
    """The gradient of the nodes' rows becomes that of the sums. With dropout, a zero was dropped."""
    low, high = np.float32(slope * scale), np.float32(scale)
    zero = low if scale == 1 else np.float32(0)
    for place in prange(len(nodes)):
        node = nodes[place]
        for d in range(gradient.shape[1]):
            value = table[node, d]
            gradient[place, d] *= high if value > 0 else (low if value < 0 else zero)


@njit(parallel=True)
def mix_back(nodes: Any, source: Any, mixed: Any, gradient: Any) -> None:
    """The gradient of what `mix` gave becomes [that of ÂE, that of E as a node's own]."""
    dim = source.shape[1]
    for place in prange(len(nodes)):
        node = nodes[place]
        for d in range(dim):
            own = source[node, d]
            spread = mixed[place, d] - own
            of_sum, of_product = gradient[place, d], gradient[place, dim + d]
            gradient[place, d] = of_sum + of_product * own
            gradient[place, dim + d] = of_sum + of_product * spread


@njit()
def _mark(nodes: Any, offsets: Any, neighbors: Any, reached: Any) -> None:
    for node in nodes:
        for place in range(offsets[node], offsets[node + 1]):
            reached[neighbors[place]] = True


@njit(parallel=True)
def _mix(blocks: Any, nodes: Any, offsets: Any, neighbors: Any, weights: Any, source: Any, out: Any) -> None:
    dim, last = source.shape[1], len(nodes) - 1
    for block in prange(len(blocks) - 1):
        for place in range(blocks[block], blocks[block + 1]):
            node, later = nodes[place], nodes[min(place + _ROWS_AHEAD, last)]
            first, end = offsets[node], offsets[node + 1]
            for at in range(offsets[later], min(offsets[later] + _AHEAD, offsets[later + 1])):
                for d in range(0, dim, _LINE):
                    prefetch(source, neighbors[at], d)
            for d in range(dim):
                out[place, d] = 0
            for at in range(first, end):
                if at + _AHEAD < end:
                    for d in range(0, dim, _LINE):
                        prefetch(source, neighbors[at + _AHEAD], d)
                neighbor, weight = neighbors[at], weights[at]
                for d in range(dim):
                    out[place, d] += weight * source[neighbor, d]
            for d in range(dim):
                spread, own = out[place, d], source[node, d]
                out[place, d] = spread + own
                out[place, dim + d] = spread * own


@njit(parallel=True)
def _pull(
    blocks: Any, nodes: Any, offsets: Any, neighbors: Any, weights: Any, slot: Any, messages: Any,
    given_slot: Any, given: Any, column: int, out: Any,
) -> None:  # fmt: skip
    dim, last = out.shape[1], len(nodes) - 1
    for block in prange(len(blocks) - 1):
        for place in range(blocks[block], blocks[block + 1]):
            node, later = nodes[place], nodes[min(place + _ROWS_AHEAD, last)]
            first, end = offsets[node], offsets[node + 1]
            for at in range(offsets[later], min(offsets[later] + _AHEAD, offsets[later + 1])):
                _ask(messages, slot[neighbors[at]], dim)
            own, loss = slot[node], given_slot[node]
            for d in range(dim):
                out[place, d] = messages[own, dim + d] if own >= 0 else 0.0
            if loss >= 0:
                for d in range(dim):
                    out[place, d] += given[loss, column + d]
            for at in range(first, end):
                if at + _AHEAD < end:
                    _ask(messages, slot[neighbors[at + _AHEAD]], dim)
                other = slot[neighbors[at]]
                if other >= 0:
                    weight = weights[at]
                    for d in range(dim):
                        out[place, d] += weight * messages[other, d]


@njit()
def _ask(table: Any, row: Any, dim: int) -> None:
    if row >= 0:
        for d in range(0, dim, _LINE):
            prefetch(table, row, d)
