"""What lists do beside being right: how much of the catalogue they show, how evenly, how popular it is."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MEASURES = ("coverage", "gini", "popularity")


def beyond_accuracy(
    top_QK: NDArray[np.int64], num_train_I: NDArray[np.integer], num_users: int, ks: Sequence[int]
) -> dict[str, float]:
    """Measures over everybody's first K items.

    - coverage@K: share of the catalogue's items that somebody is shown (catalogue coverage, Ge,
      Delgado-Battenfeld & Jannach 2010).
    - gini@K: Gini coefficient of how often each item of the catalogue is shown; 0 where all are shown equally
      often, 1 where only one is (Castells, Hurley & Vargas 2015: Σ (2j − I − 1) p_j / (I − 1), p ascending).
    - popularity@K: mean over all that is shown of the share of the train users who have the item (average
      recommendation popularity, Yin et al. 2012, by user so that it does not grow with the data).

    Args:
        top_QK: item ids, best first; -1 where a list is short. K ≥ max(ks).
        num_train_I: interactions of each item in train.
        num_users: users in train.
    """
    found = {}
    for k in ks:
        shown = top_QK[:, :k]
        shown = shown[shown >= 0]
        exposure_I = np.bincount(shown, minlength=len(num_train_I))
        found[f"coverage@{k}"] = float((exposure_I > 0).mean())
        found[f"gini@{k}"] = gini(exposure_I)
        found[f"popularity@{k}"] = float(num_train_I[shown].mean() / num_users) if len(shown) else 0.0
    return found


def gini(count_I: NDArray[np.integer]) -> float:
    """How unequal counts are: 0 for equal ones, 1 where one has all; 0 for a single one, or none at all."""
    num, total = len(count_I), count_I.sum()
    if num < 2 or total == 0:
        return 0.0
    weight_I = 2 * np.arange(1, num + 1) - num - 1
    return float((weight_I * np.sort(count_I)).sum() / total / (num - 1))
