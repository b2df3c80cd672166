"""Full ranking over all items: no sampled candidates, and ties go to the lowest item id.

Scores are compared as torch does: NaN is above everything, +inf below it, and what scores −inf is never
recommended.
"""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from components.compiled import available, njit
from components.core.progress import progress
from components.rec.csr import Csr
from components.rec.products import inner_products

logger = logging.getLogger(__name__)
# A tile of scores is a megabyte, which stays in a core's cache between product and scan.
_TILE_USERS: Final = 256
_TILE_ITEMS: Final = 1024
_LANES: Final = 64  # users whose scores are compared at once; of 16 … 256 the fastest
_GROUP: Final = 32  # items that are first looked at through the best of them
_CELLS: Final = 1 << 28  # scores of a block in the plain form: a gigabyte


def rank(users_QD: Tensor, items_ID: Tensor, seen: Csr, k: int, *, block: int = 2048) -> Tensor:
    """The k best items of each query row.

    Args:
        users_QD: query embeddings; the score of an item is the inner product.
        items_ID: item embeddings.
        seen: for each of the Q rows the items that are left out.
        k: length of the lists.
        block: the most rows scored at a time, at most 4 × block × I bytes of scores. The compiled form takes
            a megabyte a thread; a GPU that runs out of memory goes on with half as many.

    Returns:
        (Q, k) item ids, best first; -1 where a row has fewer than k items left.
    """
    assert seen.num_rows == len(users_QD)
    users_QD, items_ID = users_QD.detach(), items_ID.detach()  # threads do not inherit `no_grad`
    compiled = available() and users_QD.device.type == "cpu" and users_QD.dtype == torch.float32
    top_QK = torch.full((len(users_QD), k), -1, dtype=torch.int64, device=users_QD.device)
    work = _rank_compiled if compiled else _rank_plain
    with progress("ranking", len(users_QD), "users") as shown:
        for count in work(users_QD, items_ID, seen, top_QK, block):
            shown.advance(count)
    return top_QK


def rank_for_all(score_I: Tensor, seen: Csr, k: int) -> Tensor:
    """(Q, k) items as from `rank`, where an item scores the same for every row: the j-th item that a row has
    not seen stands in the common order j places further down for every seen item above it."""
    order_N = score_I.argsort(descending=True, stable=True)[: int((score_I != -torch.inf).sum())]
    place_I = torch.full_like(score_I, len(order_N), dtype=torch.int64)
    place_I[order_N] = torch.arange(len(order_N), device=score_I.device)
    row, place = seen.rows, place_I[seen.values]
    near = (place < k + seen.counts[row]) & (place < len(order_N))  # further down nobody looks
    seen = Csr.from_pairs(row[near], place[near], seen.num_rows)

    # A row's seen places less their number in the row: how many unseen ones stand above each.
    row = seen.rows
    above = seen.values - (torch.arange(len(row), device=row.device) - seen.offsets[row])
    asked_QK = torch.arange(seen.num_rows, device=row.device)[:, None] * (k + 1) + torch.arange(
        k, device=row.device
    )
    passed_QK = torch.searchsorted(row * (k + 1) + above.clamp(max=k), asked_QK, right=True)
    place_QK = torch.arange(k, device=row.device) + passed_QK - seen.offsets[:-1, None]
    item_QK = torch.full_like(place_QK, -1)
    reached = place_QK < len(order_N)
    item_QK[reached] = order_N[place_QK[reached]]
    return item_QK


def top_k(score_BI: Tensor, k: int) -> Tensor:
    """(B, k) columns with the highest scores, ties to the lowest column; -1 for scores of −inf."""
    value_BK, item_BK = _best(score_BI, k)
    item_BK[value_BK == -torch.inf] = -1
    return torch.nn.functional.pad(item_BK, (0, k - item_BK.shape[1]), value=-1)


def hits(top_QK: Tensor, relevant: Csr) -> Tensor:
    """(Q, K) bool: whether the item at each rank is among its row's relevant ones."""
    if not relevant.values.numel():
        return torch.zeros_like(top_QK, dtype=torch.bool)
    width = int(max(relevant.values.max(), top_QK.max())) + 2
    known = relevant.rows * width + relevant.values
    rows = torch.arange(len(top_QK), device=top_QK.device)[:, None]
    asked = rows * width + torch.where(top_QK >= 0, top_QK, width - 1)
    place = torch.searchsorted(known, asked.reshape(-1)).clamp(max=len(known) - 1)
    return (known[place] == asked.reshape(-1)).reshape(top_QK.shape)


def _rank_plain(users_QD: Tensor, items_ID: Tensor, seen: Csr, top_QK: Tensor, block: int) -> Iterator[int]:
    """Fill in `top_QK` block by block, and tell how many rows are done."""
    block = max(1, min(block, _CELLS // max(1, len(items_ID))))
    start = 0
    while start < len(users_QD):
        rows = torch.arange(start, min(start + block, len(users_QD)), device=users_QD.device)
        try:
            top_QK[rows] = _rank_block(users_QD[rows], items_ID, seen.select(rows), top_QK.shape[1])
        except torch.OutOfMemoryError:
            if block == 1:
                raise
            block = -(-block // 2)
            logger.warning("ranking: out of memory, going on with %d users at a time", block)
            continue
        start += block
        yield len(rows)


def _rank_block(users_BD: Tensor, items_ID: Tensor, seen: Csr, k: int) -> Tensor:
    score_BI = inner_products(users_BD, items_ID)
    score_BI[seen.rows, seen.values] = -torch.inf
    return top_k(score_BI, k)


def _rank_compiled(
    users_QD: Tensor, items_ID: Tensor, seen: Csr, top_QK: Tensor, block: int
) -> Iterator[int]:
    """The same on threads that each take a tile of scores from the product to the lists: no thread waits for
    another, and the work is cut the same way however many there are."""
    users_QD, items_ID = users_QD.contiguous(), items_ID.contiguous()
    top, offsets, values = top_QK.numpy(), seen.offsets.numpy(), seen.values.numpy()
    size = min(block, _TILE_USERS)

    def rank_rows(start: int) -> int:
        users_BD = users_QD[start : start + size]
        rows = slice(start, start + len(users_BD))
        value_BK = np.full((len(users_BD), top.shape[1]), -np.inf, dtype=np.float32)
        limit_B = np.full(len(users_BD), -np.inf, dtype=np.float32)
        next_B, end_B = offsets[:-1][rows].copy(), offsets[1:][rows]
        for first in range(0, len(items_ID), _TILE_ITEMS):
            score_TB = inner_products(items_ID[first : first + _TILE_ITEMS], users_BD).numpy()
            _keep_best(score_TB, first, values, next_B, end_B, limit_B, value_BK, top[rows])
        return len(users_BD)

    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield from pool.map(rank_rows, range(0, len(users_QD), size))
    finally:
        torch.set_num_threads(threads)  # a thread's setting is partly the whole process's


@njit()
def _keep_best(
    score_TB: NDArray[Any],
    first: int,
    seen: NDArray[Any],
    next_B: NDArray[Any],
    end_B: NDArray[Any],
    limit_B: NDArray[Any],
    value_BK: NDArray[Any],
    item_BK: NDArray[Any],
) -> None:
    """Enter the items `first` … `first + T` into lists that hold the best of those before them.

    Few scores are above what the last of a list has, so many are compared at once, and only those few are
    looked up among its row's seen, `seen[next_B[b] : end_B[b]]`. `limit_B` holds each list's last value.
    """
    num_items, num_users = score_TB.shape
    for t in range(num_items):
        for start in range(0, num_users, _LANES):
            score_W, limit_W = score_TB[t, start : start + _LANES], limit_B[start : start + _LANES]
            found = np.int32(0)
            for w in range(len(score_W)):
                found |= np.int32(not (score_W[w] <= limit_W[w]))  # this way round NaN is found
            if found:
                for w in range(len(score_W)):
                    b = start + w
                    if _above(score_W[w], limit_W[w]) and not _is_seen(first + t, b, seen, next_B, end_B):
                        _insert(score_W[w], first + t, value_BK[b], item_BK[b])
                        limit_W[w] = value_BK[b, -1]


@njit()
def _above(one: float, other: float) -> bool:
    return one > other or (one != one and other == other)


@njit()
def _is_seen(item: int, b: int, seen: NDArray[Any], next_B: NDArray[Any], end_B: NDArray[Any]) -> bool:
    """Items come in ascending order, so each row's place among its seen ones only moves forward."""
    place = next_B[b]
    while place < end_B[b] and seen[place] < item:
        place += 1
    next_B[b] = place
    return bool(place < end_B[b] and seen[place] == item)


@njit()
def _insert(score: float, item: int, value_K: NDArray[Any], item_K: NDArray[Any]) -> None:
    place = len(value_K) - 1
    while place > 0 and _above(score, value_K[place - 1]):
        value_K[place], item_K[place] = value_K[place - 1], item_K[place - 1]
        place -= 1
    value_K[place], item_K[place] = score, item


def _best(score_BI: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Values and columns of the k best, or of all where there are fewer.

    They lie in the k groups of neighbouring columns whose best are highest (of equal ones the first groups),
    so most columns are read only once.
    """
    num_groups = score_BI.shape[1] // _GROUP
    if num_groups < 4 * k:
        return _best_of_few(score_BI, k)
    device = score_BI.device
    grouped_BGW = score_BI[:, : num_groups * _GROUP].view(-1, num_groups, _GROUP)
    group_BK = _best_of_few(grouped_BGW.amax(dim=2), k)[1].sort(dim=1).values
    near_BC = (group_BK[:, :, None] * _GROUP + torch.arange(_GROUP, device=device)).flatten(1)
    rest = torch.arange(num_groups * _GROUP, score_BI.shape[1], device=device)
    near_BC = torch.cat([near_BC, rest.expand(len(score_BI), -1)], dim=1)
    value_BK, place_BK = _best_of_few(score_BI.gather(1, near_BC), k)
    return value_BK, near_BC.gather(1, place_BK)


def _best_of_few(score_BI: Tensor, k: int) -> tuple[Tensor, Tensor]:
    k = min(k, score_BI.shape[1])
    # one more shows a tie at the edge
    value_BK, item_BK = score_BI.topk(min(k + 1, score_BI.shape[1]), dim=1)
    crossing = value_BK[:, k - 1 : k].isclose(value_BK[:, -1:], rtol=0, atol=0, equal_nan=True)
    crossing = (crossing & (value_BK[:, -1:] != -torch.inf)).flatten()
    value_BK, item_BK = value_BK[:, :k], item_BK[:, :k]
    # topk orders ties as it likes: sort them by item, and redo the rows where a tie crosses the edge
    by_item = item_BK.argsort(dim=1)
    value_BK, item_BK = value_BK.gather(1, by_item), item_BK.gather(1, by_item)
    value_BK, by_value = value_BK.sort(dim=1, descending=True, stable=True)
    item_BK = item_BK.gather(1, by_value)
    if k < score_BI.shape[1] and crossing.any():
        value_CI, item_CI = score_BI[crossing].sort(dim=1, descending=True, stable=True)
        item_BK[crossing], value_BK[crossing] = item_CI[:, :k], value_CI[:, :k]
    return value_BK, item_BK
