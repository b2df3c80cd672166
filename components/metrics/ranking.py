"""Recall, NDCG, precision and hit ratio at K, for each user."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

METRICS = ("recall", "ndcg", "precision", "hit_ratio")


def per_user(
    hits_UK: NDArray[np.bool_], num_relevant_U: NDArray[np.integer], ks: Sequence[int]
) -> dict[str, NDArray[np.float64]]:
    """Metrics of each user's ranked list.

    Args:
        hits_UK: whether the item at each rank (best first, K ≥ max(ks)) is relevant.
        num_relevant_U: how many relevant items the user has, at least 1.
        ks: the cut-offs.

    Returns:
        `"recall@20"` and the like → one value per user, in [0, 1]. The ideal DCG of NDCG is over
        min(relevant, K) items, as in Järvelin & Kekäläinen 2002 with binary gains.
    """
    assert hits_UK.shape[1] >= max(ks)
    assert (num_relevant_U >= 1).all()
    discount_K = 1.0 / np.log2(np.arange(2, hits_UK.shape[1] + 2))
    num_hits_UK = hits_UK.cumsum(axis=1)
    dcg_UK = (hits_UK * discount_K).cumsum(axis=1)
    ideal_K = discount_K.cumsum()
    result: dict[str, NDArray[np.float64]] = {}
    for k in ks:
        found_U = num_hits_UK[:, k - 1]
        result[f"recall@{k}"] = found_U / num_relevant_U
        result[f"ndcg@{k}"] = dcg_UK[:, k - 1] / ideal_K[np.minimum(num_relevant_U, k) - 1]
        result[f"precision@{k}"] = found_U / k
        result[f"hit_ratio@{k}"] = (found_U > 0).astype(np.float64)
    return result


def cut_off(metrics: Iterable[str]) -> int:
    """The largest K among names such as `ndcg@20`."""
    return max(int(metric.partition("@")[2]) for metric in metrics)
