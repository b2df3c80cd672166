"""The challenger against other classifiers on the same examples: differences, and how sure they are."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from components.compiled import available, njit
from components.core.recipe.classification import ClassificationMetric
from components.core.verdict import ExampleComparison
from components.metrics.bootstrap import expanded, expanded_quantile
from components.metrics.classification import (
    LEAST_PROBABILITY,
    Floats,
    Labels,
    Mask,
    judged_classes,
    losses,
    per_example,
    tie_starts,
)
from components.metrics.comparison import paired_test

Name = TypeVar("Name", bound=str)
METRICS: Final[tuple[ClassificationMetric, ...]] = ("auc", "logloss")
_REACH: Final[Mapping[ClassificationMetric, float]] = {"auc": 1.0, "logloss": -math.log(LEAST_PROBABILITY)}


def compare(
    challenger_NC: Floats,
    others: Mapping[Name, Floats],
    label_N: Labels,
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> dict[Name, dict[ClassificationMetric, ExampleComparison]]:
    """Compare AUC and log loss with every other model, paired by example; every class has examples.

    Intervals are expanded percentile intervals of the bootstrap (see `components.metrics.bootstrap`); all
    models share their resamples. A resample that misses a class has no AUC and is left out of its interval.
    p-values are DeLong's test for AUC, and the paired t-test for log loss.
    """
    models = [_Model.of(challenger_NC, label_N), *(_Model.of(other, label_N) for other in others.values())]
    drawn_RMK = _resampled(models, len(label_N), resamples, seed)
    found: dict[Name, dict[ClassificationMetric, ExampleComparison]] = {}
    for m, (name, other_NC) in enumerate(others.items(), 1):
        pairs = _Pairs.of(challenger_NC, other_NC, label_N)
        found[name] = {}
        for k, metric in enumerate(METRICS):
            tail = float(expanded(pairs.count[metric], (1 - confidence) / 2))
            difference_R = drawn_RMK[:, 0, k] - drawn_RMK[:, m, k]
            ends = np.nanquantile(difference_R, [tail, 1 - tail])
            found[name][metric] = pairs.told(metric, ends)
    return found


def compare_slice(
    challenger_NC: Floats, other_NC: Floats, label_N: Labels, *, confidence: float
) -> dict[ClassificationMetric, ExampleComparison]:
    """The same without resampling, for there are many slices: DeLong's interval for AUC, and for log loss
    that of the paired t-test, expanded as those of the bootstrap are. AUC is left out where it is undefined.
    """
    pairs = _Pairs.of(challenger_NC, other_NC, label_N)
    found = {}
    for metric in METRICS:
        if metric in pairs.difference:
            difference_N = pairs.difference[metric]
            error = difference_N.std() / math.sqrt(len(label_N))
            reach = error * float(expanded_quantile(pairs.count[metric], (1 + confidence) / 2))
            mean = difference_N.mean()
            found[metric] = pairs.told(metric, np.array([mean - reach, mean + reach]))
    return found


@final
@dataclass(frozen=True, kw_only=True)
class _Pairs:
    """Two models on the same examples.

    Attributes:
        ours, theirs, difference: metric → (N,) values whose mean it is.
        count: metric → examples that it really rests on: those of the rarest class; those that differ.
    """

    ours: Mapping[str, Floats]
    theirs: Mapping[str, Floats]
    difference: Mapping[str, Floats]
    count: Mapping[ClassificationMetric, NDArray[np.int64]]

    @classmethod
    def of(cls, challenger_NC: Floats, other_NC: Floats, label_N: Labels) -> "_Pairs":
        ours, theirs = (per_example(one_NC, label_N) for one_NC in (challenger_NC, other_NC))
        rarest = np.bincount(label_N, minlength=challenger_NC.shape[1]).min()
        differ = np.count_nonzero(ours["logloss"] - theirs["logloss"])
        return cls(
            ours=ours,
            theirs=theirs,
            difference={name: ours[name] - theirs[name] for name in ours},
            count={"auc": np.array(rarest), "logloss": np.array(differ)},
        )

    def told(self, metric: ClassificationMetric, ends: Floats) -> ExampleComparison:
        """With everything that the metric can be where a class has a single example, or there is but one."""
        alone = self.count["auc"] == 1 if metric == "auc" else len(self.ours[metric]) == 1
        low, high = (-_REACH[metric], _REACH[metric]) if alone else ends
        return ExampleComparison(
            challenger=float(self.ours[metric].mean()),
            other=float(self.theirs[metric].mean()),
            difference=float(self.difference[metric].mean()),
            low=float(low),
            high=float(high),
            p_value=float(paired_test(self.difference[metric][:, None])[0]),
        )


# -- resampling ------------------------------------------------------------------------------------------


@final
@dataclass(frozen=True)
class _Ranking:
    """Examples in ascending order of the probability of one class.

    Attributes:
        order_N: the examples.
        positive_N: whether they are of the class.
        last_N: whether the next one scores more, or there is none.
    """

    order_N: NDArray[np.int64]
    positive_N: Mask
    last_N: Mask

    @classmethod
    def of(cls, score_N: Floats, positive_N: Mask) -> "_Ranking":
        order_N = np.argsort(score_N)
        last_N = np.zeros(len(score_N), dtype=np.bool_)
        last_N[np.append(tie_starts(score_N[order_N])[1:], len(score_N)) - 1] = True
        return cls(order_N, positive_N[order_N], last_N)

    def auc(self, count_N: NDArray[np.int32]) -> float:
        """Of a resample that holds each example so many times; NaN where it misses one side."""
        form = _auc_compiled if available() else _auc_plain
        won_twice, pairs = form(self.order_N, self.positive_N, self.last_N, count_N)
        return won_twice / (2 * pairs) if pairs else math.nan


@final
@dataclass(frozen=True)
class _Model:
    """What one model makes of the examples: a ranking for each judged class, and the losses."""

    rankings: tuple[_Ranking, ...]
    loss_N: Floats

    @classmethod
    def of(cls, probability_NC: Floats, label_N: Labels) -> "_Model":
        classes = judged_classes(probability_NC.shape[1])
        rankings = (_Ranking.of(probability_NC[:, c], label_N == c) for c in classes)
        return cls(tuple(rankings), losses(probability_NC, label_N))

    def measure(self, count_N: NDArray[np.int32]) -> tuple[float, float]:
        """AUC and log loss of a resample."""
        auc = sum(ranking.auc(count_N) for ranking in self.rankings) / len(self.rankings)
        return auc, float(np.einsum("n,n->", count_N, self.loss_N)) / len(count_N)


def _resampled(models: list[_Model], num_examples: int, resamples: int, seed: int) -> Floats:
    """(resamples, M, 2) AUC and log loss of samples of N examples, drawn with replacement."""
    generator = np.random.default_rng(seed)
    found_RMK = np.empty((resamples, len(models), len(METRICS)))
    count_N = np.empty(num_examples, dtype=np.int32)
    count = _count_compiled if available() else _count_plain
    for r in range(resamples):
        count(generator.integers(num_examples, size=num_examples, dtype=np.int32), count_N)
        found_RMK[r] = [model.measure(count_N) for model in models]
    return found_RMK


@njit()
def _count_compiled(drawn_N: NDArray[Any], count_N: NDArray[Any]) -> None:
    count_N[:] = 0
    for n in drawn_N:
        count_N[n] += 1


def _count_plain(drawn_N: NDArray[np.int32], count_N: NDArray[np.int32]) -> None:
    count_N[:] = np.bincount(drawn_N, minlength=len(count_N))


@njit()
def _auc_compiled(
    order_N: NDArray[Any], positive_N: NDArray[Any], last_N: NDArray[Any], count_N: NDArray[Any]
) -> tuple[int, int]:
    """Twice the pairs that are rightly ordered, ties counting half, and all pairs; in one pass."""
    won_twice, positives, below, tied_positives, tied_negatives = 0, 0, 0, 0, 0
    for place in range(len(order_N)):
        count = int(count_N[order_N[place]])
        if positive_N[place]:
            tied_positives += count
        else:
            tied_negatives += count
        if last_N[place]:
            won_twice += tied_positives * (2 * below + tied_negatives)
            positives, below = positives + tied_positives, below + tied_negatives
            tied_positives, tied_negatives = 0, 0
    return won_twice, positives * below


def _auc_plain(
    order_N: NDArray[np.int64], positive_N: Mask, last_N: Mask, count_N: NDArray[np.int32]
) -> tuple[int, int]:
    start_G = np.append(0, np.flatnonzero(last_N)[:-1] + 1)
    ordered_N = count_N[order_N].astype(np.int64)
    positives_G = np.add.reduceat(np.where(positive_N, ordered_N, 0), start_G)
    negatives_G = np.add.reduceat(np.where(positive_N, 0, ordered_N), start_G)
    below_G = negatives_G.cumsum() - negatives_G
    won_twice = int((positives_G * (2 * below_G + negatives_G)).sum())
    return won_twice, int(positives_G.sum()) * int(negatives_G.sum())
