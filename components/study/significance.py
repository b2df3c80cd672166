"""Whether a method is really better: over seeds, and over test examples."""

from dataclasses import dataclass
from typing import final

import numpy as np

from components.core.columns import LABEL, PROBABILITIES
from components.metrics.classification import Floats, per_example
from components.metrics.comparison import paired_test
from components.metrics.direction import lead as lead_of
from components.study.comparing import Comparison, Outcomes
from components.study.results import read
from components.study.running import Outcome


@final
@dataclass(frozen=True)
class Lead:
    """Of a method over the best of the others on test.

    Attributes:
        lead: by how much its mean over seeds is better; below 0 where it is worse.
        p_seeds, p_examples: of the tests that there is no difference, see `p_over_seeds` and
            `p_over_examples`.
    """

    metric: str
    baseline: str
    lead: float
    p_seeds: float
    p_examples: float


def lead(found: Comparison, ours: str, metric: str) -> Lead:
    """The lead of `ours`, which is among the methods."""
    baseline = found.best(metric, without=ours)
    both = found.outcomes[ours], found.outcomes[baseline]
    return Lead(
        metric=metric,
        baseline=baseline,
        lead=lead_of(metric, found.mean(ours, metric), found.mean(baseline, metric)),
        p_seeds=p_over_seeds(*both, metric),
        p_examples=p_over_examples(*both, metric),
    )


def p_over_seeds(left: Outcomes, right: Outcomes, metric: str) -> float:
    """Two-sided t-test, paired by seed: would other seeds of the training say the same on this test part? 1
    for a single seed."""
    difference_S = [
        left[seed].metrics["evaluate"][metric] - right[seed].metrics["evaluate"][metric] for seed in left
    ]
    return float(paired_test(np.array(difference_S)[:, None])[0])


def p_over_examples(left: Outcomes, right: Outcomes, metric: str) -> float:
    """Two-sided t-test, paired by test example: would these models say the same of other examples?

    An example's difference is its mean over seeds, for five seeds are not five times as many examples. Of log
    loss it is that of the losses; of AUC that of DeLong's components, which makes the test DeLong's.
    """
    difference_N = np.mean(
        [_values(left[seed], metric) - _values(right[seed], metric) for seed in left], axis=0
    )
    return float(paired_test(difference_N[:, None])[0])


def _values(outcome: Outcome, metric: str) -> Floats:
    """(N,) whose mean is the metric; all cells of a data set have the same test examples."""
    table = read(outcome, "evaluation", "per_example.parquet", [LABEL, PROBABILITIES])
    return per_example(np.stack(table[PROBABILITIES].tolist()), table[LABEL].to_numpy())[metric]
