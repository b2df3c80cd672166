"""Scores of pairs straight from the tables, and their gradients by rows: kernels for a CPU.

What torch does in a dozen operations that each write a table of B × K × D floats is one pass here.
"""

from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from components.compiled import njit, prange, prefetch_row

_AHEAD: Final = 4  # items between a row's being asked for and its being read
_OCCURRENCE_BITS: Final = 24  # of a sort key; the rest is the row's number


@final
@dataclass(frozen=True)
class RowGradient:
    """The gradient of a table at R distinct rows, ascending.

    Attributes:
        rows: (R,).
        score: (R, D) the part that comes from scores.
        l2: (R,) the other part is this times the row's own ego embedding.
    """

    rows: npt.NDArray[np.int64]
    score: npt.NDArray[np.float32]
    l2: npt.NDArray[np.float32]

    def whole(self, ego: Tensor) -> Tensor:
        """Both parts as a coalesced sparse tensor in the shape of the ego embeddings."""
        _add_own(ego.numpy(), self.rows, self.l2, self.score)
        return torch.sparse_coo_tensor(
            torch.from_numpy(self.rows)[None],
            torch.from_numpy(self.score),
            ego.shape,
            is_coalesced=True,
            check_invariants=False,
        )


def pair_scores(users_UD: Tensor, items_ID: Tensor, user_B: Tensor, item_BK: Tensor) -> Tensor:
    """(B, K) inner products."""
    score_BK = np.empty(item_BK.shape, np.float32)
    _scores(users_UD.numpy(), items_ID.numpy(), user_B.numpy(), item_BK.numpy(), score_BK)
    return torch.from_numpy(score_BK)


def half_squares(table: Tensor, rows: Tensor) -> Tensor:
    """½‖·‖² of a table's rows, in the shape of `rows`."""
    found = np.empty(rows.numel(), np.float32)
    _half_squares(table.numpy(), rows.numpy().reshape(-1), found)
    return torch.from_numpy(found).reshape(rows.shape)


def user_gradient(
    items_ID: Tensor, user_B: Tensor, item_BK: Tensor, score_BK: Tensor, l2_B: Tensor
) -> RowGradient:
    """From the gradients of scores and half squares to that of the users' rows."""
    user, weight = user_B.numpy(), l2_B.contiguous().numpy()
    order, begin = _grouped(user)
    score = np.zeros((len(begin) - 1, items_ID.shape[1]), np.float32)
    l2 = np.empty(len(score), np.float32)
    _sum_users(
        items_ID.numpy(), item_BK.numpy(), score_BK.contiguous().numpy(), weight, order, begin, score, l2
    )
    return RowGradient(user[order[begin[:-1]]], score, l2)


def item_gradient(
    users_UD: Tensor, user_B: Tensor, item_BK: Tensor, score_BK: Tensor, l2_BK: Tensor
) -> RowGradient:
    """The same for the items' rows; pairs without any gradient are left out."""
    item, weight = item_BK.numpy().reshape(-1), l2_BK.contiguous().numpy().reshape(-1)
    slope = score_BK.contiguous().numpy().reshape(-1)
    touched = np.flatnonzero((slope != 0) | (weight != 0))
    order, begin = _grouped(item[touched])
    order = touched[order]
    score = np.zeros((len(begin) - 1, users_UD.shape[1]), np.float32)
    l2 = np.empty(len(score), np.float32)
    _sum_items(users_UD.numpy(), user_B.numpy(), item_BK.shape[1], slope, weight, order, begin, score, l2)
    return RowGradient(item[order[begin[:-1]]], score, l2)


def _grouped(rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Occurrences ordered by row, then by place; and where each row's begin, with the end of all."""
    assert len(rows) < 1 << _OCCURRENCE_BITS
    key = np.sort((rows << _OCCURRENCE_BITS) + np.arange(len(rows)))
    begin = np.flatnonzero(np.diff(key >> _OCCURRENCE_BITS, prepend=-1))
    return key & ((1 << _OCCURRENCE_BITS) - 1), np.append(begin, len(rows))


@njit(parallel=True, fastmath=True)
def _scores(users: Any, items: Any, user_B: Any, item_BK: Any, score_BK: Any) -> None:
    width, dim = item_BK.shape[1], users.shape[1]
    for b in prange(len(user_B)):
        user = user_B[b]
        for k in range(width):
            soon = item_BK[b, min(k + _AHEAD, width - 1)]
            prefetch_row(items, soon)
            item, total = item_BK[b, k], np.float32(0)
            for d in range(dim):
                total += users[user, d] * items[item, d]
            score_BK[b, k] = total


@njit(parallel=True, fastmath=True)
def _half_squares(table: Any, rows: Any, found: Any) -> None:
    for place in prange(len(rows)):
        row, total = rows[place], np.float32(0)
        for d in range(table.shape[1]):
            total += table[row, d] * table[row, d]
        found[place] = total / 2


@njit(parallel=True)
def _sum_users(
    items: Any, item_BK: Any, slope_BK: Any, weight: Any, order: Any, begin: Any, score: Any, l2: Any
) -> None:
    for group in prange(len(begin) - 1):
        total = np.float32(0)
        for place in range(begin[group], begin[group + 1]):
            b = order[place]
            total += weight[b]
            for k in range(item_BK.shape[1]):
                slope, item = slope_BK[b, k], item_BK[b, k]
                if slope != 0:
                    for d in range(score.shape[1]):
                        score[group, d] += slope * items[item, d]
        l2[group] = total


@njit(parallel=True)
def _sum_items(
    users: Any, user_B: Any, width: int, slope: Any, weight: Any, order: Any, begin: Any, score: Any, l2: Any
) -> None:
    for group in prange(len(begin) - 1):
        total = np.float32(0)
        for place in range(begin[group], begin[group + 1]):
            occurrence = order[place]
            total += weight[occurrence]
            factor, user = slope[occurrence], user_B[occurrence // width]
            for d in range(score.shape[1]):
                score[group, d] += factor * users[user, d]
        l2[group] = total


@njit(parallel=True)
def _add_own(table: Any, rows: Any, l2: Any, score: Any) -> None:
    for place in prange(len(rows)):
        row, factor = rows[place], l2[place]
        for d in range(score.shape[1]):
            score[place, d] += factor * table[row, d]
