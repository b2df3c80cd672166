"""What every model should beat: recommending what is popular, and item-kNN."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from components.evaluate.scoring import Exam
from components.rec.csr import Csr
from components.rec.ranking import rank, top_k

NEIGHBOURS: Final = 100
SHRINKAGE: Final = 10.0
_CELLS: Final = 1 << 24  # scores at a time: 64 MiB


def answer_by_popularity(exam: Exam, k: int, block: int) -> Tensor:
    """(Q, k) rankings by the items' interactions in train."""
    everybody = torch.ones(len(exam.users), 1, device=exam.popularity_I.device)
    return rank(everybody, exam.popularity_I[:, None], exam.seen, k, block=block)


def answer_by_item_knn(exam: Exam, k: int) -> Tensor:
    """(Q, k) rankings by item-kNN over train: an item scores the sum of its similarities to the user's items
    that have it among their nearest (item-based top-N, Deshpande & Karypis 2004, after Sarwar et al. 2001).

    An item that is near to none of the user's is not recommended: a list may stay short.
    """
    device = exam.popularity_I.device
    history_UI = _matrix(exam.train, len(exam.item_ids))
    similarity_II = similarities(history_UI)
    history_QI = history_UI[exam.users.cpu().numpy()]
    top_QK = torch.full((len(exam.users), k), -1, dtype=torch.int64)
    for rows in _blocks(*history_QI.shape):
        score_BI = torch.from_numpy((history_QI[rows] @ similarity_II).toarray())
        score_BI[score_BI == 0] = -torch.inf
        seen = exam.seen.select(torch.arange(rows.start, rows.stop, device=device))
        score_BI[seen.rows.cpu(), seen.values.cpu()] = -torch.inf
        top_QK[rows] = top_k(score_BI, k)
    return top_QK.to(device)


def similarities(
    history_UI: sp.csr_array, neighbours: int = NEIGHBOURS, shrinkage: float = SHRINKAGE
) -> sp.csr_array:
    """Each item's (row's) nearest items by the cosine of their columns, n_ij / (√(n_i n_j) + shrinkage).

    Shrinkage takes from what rests on few users. At most `neighbours` in a row, none of them the item itself;
    ties go to the lowest item.
    """
    by_item_IU = history_UI.T.tocsr()
    norm_I = np.sqrt(by_item_IU.sum(axis=1)).astype(np.float32)
    parts = []
    for rows in _blocks(*(len(norm_I),) * 2):
        together_BI = (by_item_IU[rows] @ history_UI).tocsr()
        row, item = together_BI.nonzero()
        near = together_BI.data / (norm_I[rows][row] * norm_I[item] + np.float32(shrinkage))
        other = item != row + rows.start
        row, item, near = row[other], item[other], near[other]
        order = np.lexsort((item, -near, row))
        row, item, near = row[order], item[order], near[order]
        place = np.arange(len(row)) - np.searchsorted(row, row)
        kept = place < neighbours
        shape = (rows.stop - rows.start, len(norm_I))
        parts.append(sp.csr_array((near[kept], (row[kept], item[kept])), shape=shape))
    return sp.vstack(parts, format="csr")


def _matrix(rows: Csr, num_items: int) -> sp.csr_array:
    """Ones at a row's items."""
    offsets, values = rows.offsets.cpu().numpy(), rows.values.cpu().numpy()
    return sp.csr_array((np.ones(len(values), np.float32), values, offsets), shape=(rows.num_rows, num_items))


def _blocks(num_rows: int, num_columns: int) -> Iterator[slice]:
    """Rows at a time that fit in memory as a dense matrix."""
    size = max(1, _CELLS // num_columns)
    for start in range(0, num_rows, size):
        yield slice(start, min(start + size, num_rows))
