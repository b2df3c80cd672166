"""What probabilities of classes are worth: AUC, log loss, accuracy and calibration."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.integer]
Mask = NDArray[np.bool_]

LEAST_PROBABILITY: Final = 1e-15  # log loss takes no smaller one
BINS: Final = 15  # of equal width, for the calibration error


def measure(probability_NC: NDArray[np.floating], label_N: Labels) -> dict[str, float]:
    """All metrics over N examples of C classes.

    - auc: chance that a positive scores above a negative, ties counting half; of two classes that of the
      second, of several the mean over the classes, each against the rest.
    - logloss: mean −ln p of the label's class, p being at least 1e-15.
    - accuracy: share of the examples whose most probable class is theirs; of equal ones the first counts.
    - mse: mean (p − y)² of the second class (ESAPN eq. 3); two classes only.
    - ece: expected calibration error, see `calibration_error`; of two classes that of the second, of several
      the mean over the classes, each against the rest.
    - calibration: Σ predicted / Σ observed of the second class; two classes only.

    Args:
        probability_NC: rows that add up to 1.
        label_N: places of the classes, 0 … C − 1.

    Raises:
        ValueError: a class has no examples, so that its AUC is undefined.
    """
    probability = np.asarray(probability_NC, dtype=np.float64)
    num_classes = probability.shape[1]
    if absent := absent_classes(label_N, num_classes):
        raise ValueError(f"class {absent[0]}: has no examples, so its AUC is undefined")
    each = judged_classes(num_classes)
    found = {
        "auc": float(np.mean([auc(probability[:, c], label_N == c) for c in each])),
        "logloss": float(losses(probability, label_N).mean()),
        "accuracy": float((probability.argmax(axis=1) == label_N).mean()),
        "ece": float(np.mean([calibration_error(probability[:, c], label_N == c) for c in each])),
    }
    if num_classes == 2:
        found["mse"] = float(np.square(probability[:, 1] - label_N).mean())
        found["calibration"] = float(probability[:, 1].sum() / (label_N == 1).sum())
    return found


def per_example(probability_NC: Floats, label_N: Labels) -> dict[str, Floats]:
    """Metric → (N,) values whose mean is the metric, and whose scatter tells how sure it is.

    Of log loss these are the losses, of accuracy 1 where the most probable class is the example's and else 0,
    of the mean squared error the squares. Of AUC, which is left out where it is undefined, they are what an
    example adds to the sum over pairs: the structural components of DeLong, DeLong & Clarke-Pearson 1988,
    moved so that those of both sides have the AUC as their mean.
    """
    num_classes = probability_NC.shape[1]
    found = {
        "logloss": losses(probability_NC, label_N),
        "accuracy": (probability_NC.argmax(axis=1) == label_N).astype(np.float64),
    }
    if num_classes == 2:
        found["mse"] = np.square(probability_NC[:, 1] - label_N)
    if not absent_classes(label_N, num_classes):
        parts = [_auc_parts(probability_NC[:, c], label_N == c) for c in judged_classes(num_classes)]
        found["auc"] = np.mean(parts, axis=0)
    return found


def judged_classes(num_classes: int) -> Sequence[int]:
    """The classes that stand against the rest: the second of two, all of several."""
    return [1] if num_classes == 2 else range(num_classes)


def absent_classes(label_N: Labels, num_classes: int) -> list[int]:
    """The classes without examples."""
    absent: list[int] = np.flatnonzero(np.bincount(label_N, minlength=num_classes) == 0).tolist()
    return absent


def auc(score_N: Floats, positive_N: Mask) -> float:
    """Area under the ROC curve: (positives above negatives + ties / 2) / pairs, by midranks (Hanley & McNeil
    1982). There are positives and negatives. O(N log N)."""
    order_N = np.argsort(score_N)
    start_G = tie_starts(score_N[order_N])
    positives_G = np.add.reduceat(positive_N[order_N].astype(np.int64), start_G)
    negatives_G = np.diff(start_G, append=len(score_N)) - positives_G
    below_G = negatives_G.cumsum() - negatives_G
    pairs = int(positives_G.sum()) * int(negatives_G.sum())
    won_twice = int((positives_G * (2 * below_G + negatives_G)).sum())
    return won_twice / (2 * pairs)


def tie_starts(ascending_N: Floats) -> NDArray[np.int64]:
    """Where each run of equal values starts, N ≥ 1."""
    first_N = np.append(True, ascending_N[1:] != ascending_N[:-1])
    return np.flatnonzero(first_N)


def losses(probability_NC: Floats, label_N: Labels) -> Floats:
    """(N,) −ln p of each label's class."""
    chosen_N = probability_NC[np.arange(len(label_N)), label_N]
    loss_N: Floats = -np.log(np.clip(chosen_N, LEAST_PROBABILITY, 1.0))
    return loss_N


def calibration_error(probability_N: Floats, observed_N: Mask) -> float:
    """How far probabilities are from what happens: Σ over bins of their share of the examples times |mean
    probability − share observed| (ECE, Naeini et al. 2015)."""
    _, predicted_B, observed_B = reliability(probability_N, observed_N)
    return float(np.abs(predicted_B - observed_B).sum() / len(probability_N))


def reliability(
    probability_N: Floats, observed_N: Mask, bins: int = BINS
) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Of each bin the examples, Σ probability and Σ observed, (B,) each. Bin b holds probabilities from b / B
    to below (b + 1) / B, the last one 1, too."""
    bin_N = np.minimum((probability_N * bins).astype(np.int64), bins - 1)
    predicted_B, observed_B = (
        np.bincount(bin_N, weights=weight_N, minlength=bins).astype(np.float64)
        for weight_N in (probability_N, observed_N)
    )
    return np.bincount(bin_N, minlength=bins).astype(np.int64), predicted_B, observed_B


def _auc_parts(score_N: Floats, positive_N: Mask) -> Floats:
    """A + (v − A) N / n: v is the share of the other side that an example is rightly ordered against, n the
    examples on its own side, A the AUC."""
    order_N = np.argsort(score_N)
    start_G = tie_starts(score_N[order_N])
    positive = positive_N[order_N]
    ordered_N = np.empty(len(score_N))
    for side, upwards in ((positive, True), (~positive, False)):
        others_G = np.add.reduceat((~side).astype(np.int64), start_G)
        below_G = others_G.cumsum() - others_G / 2  # those that are tied count half
        right_G = below_G if upwards else others_G.sum() - below_G
        right_N = np.repeat(right_G / others_G.sum(), np.diff(start_G, append=len(score_N)))
        mean = right_N[side].mean()
        ordered_N[side] = mean + (right_N[side] - mean) * len(score_N) / side.sum()
    part_N = np.empty(len(score_N))
    part_N[order_N] = ordered_N
    return part_N
