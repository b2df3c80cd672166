"""The challenger against other models on the same users: paired differences, and how sure they are."""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from scipy.special import stdtr

from components.core.verdict import Comparison
from components.metrics.bootstrap import Floats, interval

Metrics = Mapping[str, Floats]  # name such as `ndcg@20` → value of each user
Name = TypeVar("Name", bound=str)


def compare(
    challenger: Metrics,
    others: Mapping[Name, Metrics],
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> dict[Name, dict[str, Comparison]]:
    """Compare on every metric with every other model, paired by user.

    Args:
        challenger: metric → value of each of U users, U ≥ 1.
        others: model → the same of the same users.
        confidence, resamples, seed: of the intervals; see `interval`.
    """
    pairs = [(other, name) for other, metrics in others.items() for name in metrics]
    if not pairs:
        return {}
    one_UC = np.column_stack([challenger[name] for _, name in pairs])
    other_UC = np.column_stack([others[other][name] for other, name in pairs])
    difference_UC = one_UC - other_UC
    low_C, high_C = interval(difference_UC, confidence=confidence, resamples=resamples, seed=seed)
    p_value_C = paired_test(difference_UC)
    found: dict[Name, dict[str, Comparison]] = {other: {} for other in others}
    for c, (other, name) in enumerate(pairs):
        difference_U = difference_UC[:, c]
        mean, other_mean = float(one_UC[:, c].mean()), float(other_UC[:, c].mean())
        found[other][name] = Comparison(
            challenger=mean,
            other=other_mean,
            difference=mean - other_mean,
            low=float(low_C[c]),
            high=float(high_C[c]),
            p_value=float(p_value_C[c]),
            better=int((difference_U > 0).sum()),
            equal=int((difference_U == 0).sum()),
            worse=int((difference_U < 0).sum()),
        )
    return found


def paired_test(difference_UC: Floats) -> Floats:
    """Two-sided p-value of the paired t-test for each column.

    For means over queries it agrees with the randomisation test and the bootstrap, unlike Wilcoxon's and
    the sign test (Smucker, Allan & Carterette 2007). Where nothing differs, and for a single user, it is 1.
    """
    num_users = len(difference_UC)
    with np.errstate(divide="ignore", invalid="ignore"):
        deviation_C = np.sqrt(
            ((difference_UC - difference_UC.mean(axis=0)) ** 2).sum(axis=0) / (num_users - 1)
        )
        t_C = difference_UC.mean(axis=0) / (deviation_C / np.sqrt(num_users))
    p_value_C: Floats = np.nan_to_num(2 * stdtr(num_users - 1, -np.abs(t_C)), nan=1.0)
    return p_value_C
