"""What every model should beat: recommending what is popular, and item-kNN."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from components.compiled import available, njit
from components.evaluate.ranking.scoring import Exam
from components.rec.csr import Csr
from components.rec.ranking import rank_for_all

# One setting for all data: of 20, 50 and 100 neighbours none was the best everywhere.
NEIGHBOURS: Final = 50
SHRINKAGE: Final = 10.0
_CELLS: Final = 1 << 22  # entries of a product at a time: a quarter of a gigabyte with all that sorting needs
_ROWS: Final = 512  # of a product that a thread takes at a time
_HALF: Final = np.uint64(32)
_FULL: Final = np.uint64(0xFFFFFFFF)
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def answer_by_popularity(exam: Exam, k: int) -> Tensor:
    """(Q, k) rankings by the items' interactions in train."""
    return rank_for_all(exam.popularity_I, exam.seen, k)


def answer_by_item_knn(exam: Exam, k: int) -> Tensor:
    """(Q, k) rankings by item-kNN over train: an item scores the sum of its similarities to the user's items
    that have it among their nearest (item-based top-N, Deshpande & Karypis 2004, after Sarwar et al. 2001).

    An item that is near to none of the user's is not recommended: a list may stay short.
    """
    num_items = len(exam.item_ids)
    history_QI = _matrix(exam.train.select(exam.users), num_items)
    similarity_II = similarities(_matrix(exam.train, num_items))
    top_QK, _ = best_products(history_QI, similarity_II, _matrix(exam.seen, num_items), k)
    return torch.from_numpy(top_QK).to(exam.popularity_I.device)


def similarities(
    history_UI: sp.csr_array, neighbours: int = NEIGHBOURS, shrinkage: float = SHRINKAGE
) -> sp.csr_array:
    """Each item's (row's) nearest items by the cosine of their columns, n_ij / (√(n_i n_j) + shrinkage).

    Shrinkage takes from what rests on few users. At most `neighbours` in a row, none of them the item itself;
    ties go to the lowest item.
    """
    num_items = history_UI.shape[1]
    by_item_IU = history_UI.T.tocsr()
    norm_I = np.sqrt(by_item_IU.sum(axis=1, dtype=np.float64))
    itself_II = sp.eye_array(num_items, format="csr", dtype=np.float32)
    near_IK, value_IK = best_products(by_item_IU, history_UI, itself_II, neighbours, norm_I, shrinkage)
    row, place = np.nonzero(near_IK >= 0)
    entries = value_IK[row, place], (row, near_IK[row, place])
    return sp.csr_array(entries, shape=(num_items, num_items))


def best_products(
    left_RM: sp.csr_array,
    right_MI: sp.csr_array,
    never_RI: sp.csr_array,
    k: int,
    norm_I: Floats | None = None,
    shrinkage: float = 1.0,
) -> tuple[Ints, Floats]:
    """The k best columns of each row of left @ right and their values, best first; ties to the lowest column.

    Only positive values count, as float32, and none where `never` has an entry: a row may have fewer
    than k, and ends in -1 then. The product is never held as a whole.

    Args:
        left_RM: every entry counts as 1.
        right_MI: its entries are above 0.
        norm_I: where given, rows are columns, too, and a value is divided by norm_r norm_i + shrinkage.
    """
    if norm_I is None:
        norm_I = np.zeros(max(left_RM.shape[0], right_MI.shape[1]))
    top_RK = np.full((left_RM.shape[0], k), -1, dtype=np.int64)
    value_RK = np.zeros((left_RM.shape[0], k))
    form = _best_compiled if available() else _best_plain
    form(left_RM, right_MI, never_RI, norm_I, shrinkage, top_RK, value_RK)
    return top_RK, value_RK


def _best_compiled(
    left_RM: sp.csr_array,
    right_MI: sp.csr_array,
    never_RI: sp.csr_array,
    norm_I: Floats,
    shrinkage: float,
    top_RK: Ints,
    value_RK: Floats,
) -> None:
    def work(start: int) -> None:
        stop = min(start + _ROWS, len(top_RK))
        sums_I, touched = np.zeros(right_MI.shape[1]), np.empty(right_MI.shape[1], dtype=np.int64)
        _multiply(
            start,
            stop,
            left_RM.indptr,
            left_RM.indices,
            right_MI.indptr,
            right_MI.indices,
            right_MI.data,
            never_RI.indptr,
            never_RI.indices,
            norm_I,
            shrinkage,
            sums_I,
            touched,
            top_RK,
            value_RK,
        )

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(work, range(0, len(top_RK), _ROWS)))


@njit()
def _multiply(
    start: int,
    stop: int,
    left_offsets: NDArray[Any],
    left: NDArray[Any],
    right_offsets: NDArray[Any],
    right: NDArray[Any],
    right_data: NDArray[Any],
    never_offsets: NDArray[Any],
    never: NDArray[Any],
    norm_I: NDArray[Any],
    shrinkage: float,
    sums_I: NDArray[Any],
    touched: NDArray[Any],
    top_RK: NDArray[Any],
    value_RK: NDArray[Any],
) -> None:
    """Row by row: sums over all columns, the best of those that got any, and zeros again."""
    for r in range(start, stop):
        count = 0
        for m in left[left_offsets[r] : left_offsets[r + 1]]:
            for entry in range(right_offsets[m], right_offsets[m + 1]):
                i = right[entry]
                if sums_I[i] == 0.0:
                    touched[count] = i
                    count += 1
                sums_I[i] += right_data[entry]
        for i in never[never_offsets[r] : never_offsets[r + 1]]:
            sums_I[i] = 0.0
        for i in touched[:count]:
            if sums_I[i] > 0.0:
                _insert(
                    np.float32(sums_I[i] / (norm_I[r] * norm_I[i] + shrinkage)), i, value_RK[r], top_RK[r]
                )
            sums_I[i] = 0.0


@njit()
def _insert(value: np.float32, i: int, value_K: NDArray[Any], item_K: NDArray[Any]) -> None:
    place = len(item_K)
    while place > 0 and (
        item_K[place - 1] < 0
        or value > value_K[place - 1]
        or (value == value_K[place - 1] and i < item_K[place - 1])
    ):
        place -= 1
        if place + 1 < len(item_K):
            value_K[place + 1], item_K[place + 1] = value_K[place], item_K[place]
    if place < len(item_K):
        value_K[place], item_K[place] = value, i


def _best_plain(
    left_RM: sp.csr_array,
    right_MI: sp.csr_array,
    never_RI: sp.csr_array,
    norm_I: Floats,
    shrinkage: float,
    top_RK: Ints,
    value_RK: Floats,
) -> None:
    num_columns = right_MI.shape[1]
    most_R = left_RM @ np.diff(right_MI.indptr)
    for rows in _blocks(most_R, num_columns):
        sums_BI = left_RM[rows] @ right_MI - np.inf * never_RI[rows]
        row = np.repeat(np.arange(rows.start, rows.stop), np.diff(sums_BI.indptr))
        sums_BI.data = sums_BI.data / (norm_I[row] * norm_I[sums_BI.indices] + shrinkage)
        row, item, value, place = _best(sums_BI, top_RK.shape[1])
        top_RK[rows.start + row, place], value_RK[rows.start + row, place] = item, value


def _best(score_BI: sp.csr_array, k: int) -> tuple[Ints, Ints, Floats, Ints]:
    """Row, column, value and place of the k highest positive numbers of each row, best first; of equal ones
    those in the lowest columns.

    Each number becomes one of 64 bits that sorts by row, then by value (float32; the bits of positive floats
    are ordered like them), then by column: ten times as fast as sorting by three keys.
    """
    row = np.repeat(np.arange(score_BI.shape[0], dtype=np.uint64), np.diff(score_BI.indptr))
    bits = score_BI.data.astype(np.float32).view(np.uint32).astype(np.uint64)
    width = np.uint64(_bits(score_BI.shape[1]))
    key = (row << (width + _HALF) | (_FULL - bits) << width | score_BI.indices.astype(np.uint64))[
        score_BI.data > 0
    ]
    key.sort()
    row = (key >> (width + _HALF)).astype(np.int64)
    first = np.searchsorted(row, np.arange(score_BI.shape[0]))
    place = np.arange(len(row)) - first[row]
    key, row, place = key[place < k], row[place < k], place[place < k]
    item = (key & ((np.uint64(1) << width) - np.uint64(1))).astype(np.int64)
    score = (_FULL - (key >> width & _FULL)).astype(np.uint32).view(np.float32).astype(np.float64)
    return row, item, score, place


def _matrix(rows: Csr, num_items: int) -> sp.csr_array:
    """Ones at a row's items."""
    offsets, values = rows.offsets.cpu().numpy(), rows.values.cpu().numpy()
    return sp.csr_array(
        (np.ones(len(values), dtype=np.float32), values, offsets), shape=(rows.num_rows, num_items)
    )


def _bits(count: int) -> int:
    return (count - 1).bit_length()


def _blocks(most_R: NDArray[np.number], num_columns: int) -> Iterator[slice]:
    """Rows of a matrix, each with at most so many entries: few enough at a time for the memory, and for
    `_best`."""
    num_rows = len(most_R)
    total = np.append(0.0, np.minimum(most_R, num_columns).cumsum(dtype=np.float64))
    start = 0
    while start < num_rows:
        stop = int(np.searchsorted(total, total[start] + _CELLS, side="right")) - 1
        stop = min(max(stop, start + 1), start + (1 << (32 - _bits(num_columns))), num_rows)
        yield slice(start, stop)
        start = stop
