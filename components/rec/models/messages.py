"""NGCF's messages on a CPU, as kernels over the graph's compressed rows.

Tables of layers are indexed by node, users before items; what is computed for a list of R nodes alone has
a row for each, in the list's order. Lists ascend. No row is written by two threads.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt

from components.compiled import njit, prange, prefetch_row
from components.rec.models.dropout import place_hash, row_key
from components.rec.models.hops import Places, SparseRows, Table

_NUM_BLOCKS: Final = 64  # of rows, with about as much work in each
_ROW_COST: Final = 4  # what a row costs by itself, in neighbours
_AHEAD: Final = 24  # neighbours between a row's being asked for and its being read
_ROWS_AHEAD: Final = 2  # where it is the next rows' neighbours


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

    @cached_property
    def _work(self) -> npt.NDArray[np.int32]:
        """(N,) of each row."""
        return (np.diff(self.offsets) + _ROW_COST).astype(np.int32)

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

    def pull(
        self, nodes: Places, spread: SparseRows, own: Table, given: SparseRows, column: int, out: Table
    ) -> None:
        """out = Â · spread + own + G of the nodes.

        Args:
            spread, own: what `mix_back` gave.
            given: whose columns from `column` on are G.
        """
        _pull(
            self._blocks(nodes), nodes, self.offsets, self.neighbors, self.weights,
            spread.slot, spread.values, own, given.slot, given.values, column, out,
        )  # fmt: skip

    def _blocks(self, nodes: Places) -> Places:
        """Where blocks of the list begin, and the end."""
        work = np.cumsum(self._work[nodes], dtype=np.int64)
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
def mix_back(nodes: Any, source: Any, mixed: Any, gradient: Any, spread: Any) -> None:
    """From the gradient of what `mix` gave: that of ÂE into `spread`, that of E as a node's own in place of
    the gradient's second half."""
    dim = source.shape[1]
    for place in prange(len(nodes)):
        node = nodes[place]
        for d in range(dim):
            value = source[node, d]
            of_sum, of_product = gradient[place, d], gradient[place, dim + d]
            spread[place, d] = of_sum + of_product * value
            gradient[place, dim + d] = of_sum + of_product * (mixed[place, d] - value)


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
                prefetch_row(source, neighbors[at])
            for d in range(dim):
                out[place, d] = 0
            for at in range(first, end):
                if at + _AHEAD < end:
                    prefetch_row(source, neighbors[at + _AHEAD])
                neighbor, weight = neighbors[at], weights[at]
                for d in range(dim):
                    out[place, d] += weight * source[neighbor, d]
            for d in range(dim):
                spread, own = out[place, d], source[node, d]
                out[place, d] = spread + own
                out[place, dim + d] = spread * own


@njit(parallel=True)
def _pull(
    blocks: Any, nodes: Any, offsets: Any, neighbors: Any, weights: Any, slot: Any, spread: Any,
    own: Any, given_slot: Any, given: Any, column: int, out: Any,
) -> None:  # fmt: skip
    dim = out.shape[1]
    for block in prange(len(blocks) - 1):
        begin, stop = blocks[block], blocks[block + 1]
        places, factors, ends = _senders(nodes[begin:stop], offsets, neighbors, weights, slot)
        at, last = 0, len(places) - 1
        for place in range(begin, stop):
            itself, loss = slot[nodes[place]], given_slot[nodes[place]]
            for d in range(dim):
                out[place, d] = own[itself, dim + d] if itself >= 0 else 0.0
            if loss >= 0:
                for d in range(dim):
                    out[place, d] += given[loss, column + d]
            while at < ends[place - begin]:
                soon = places[min(at + _AHEAD, last)]
                prefetch_row(spread, soon)
                sender, weight = places[at], factors[at]
                for d in range(dim):
                    out[place, d] += weight * spread[sender, d]
                at += 1


@njit()
def _senders(nodes: Any, offsets: Any, neighbors: Any, weights: Any, slot: Any) -> Any:
    """The neighbours that have a slot: theirs, their weights, and where each node's end."""
    size = 0
    for node in nodes:
        size += offsets[node + 1] - offsets[node]
    places, factors = np.empty(size + 1, np.int32), np.empty(size + 1, np.float32)
    ends, count = np.empty(len(nodes), np.int64), 0
    for n in range(len(nodes)):
        for place in range(offsets[nodes[n]], offsets[nodes[n] + 1]):
            other = slot[neighbors[place]]
            places[count], factors[count] = other, weights[place]
            count += other >= 0  # without a branch, which could not be predicted
        ends[n] = count
    return places[:count], factors[:count], ends
