"""Metrics of probabilities against plain loops over pairs, examples and bins."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.metrics.classification import auc, calibration_error, measure, per_example, reliability


def slow_auc(scores: list[float], positives: list[bool]) -> float:
    won = [
        1.0 if one > other else 0.5 if one == other else 0.0
        for one, is_positive in zip(scores, positives, strict=True)
        if is_positive
        for other, other_is in zip(scores, positives, strict=True)
        if not other_is
    ]
    return sum(won) / len(won)


def slow_logloss(probability: np.ndarray, label: np.ndarray) -> float:
    return -sum(math.log(max(row[c], 1e-15)) for row, c in zip(probability, label, strict=True)) / len(label)


def slow_ece(scores: np.ndarray, positives: np.ndarray) -> float:
    total = 0.0
    for b in range(15):
        top = 1.1 if b == 14 else (b + 1) / 15
        chosen = [n for n, score in enumerate(scores) if b / 15 <= score < top]
        if chosen:
            gap = np.mean([scores[n] for n in chosen]) - np.mean([positives[n] for n in chosen])
            total += len(chosen) / len(scores) * abs(gap)
    return total


def world(num_examples: int, num_classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Every class has examples, and many probabilities are equal."""
    generator = np.random.default_rng(seed)
    weight = generator.integers(1, 6, (num_examples, num_classes)).astype(float)
    label = generator.permutation(np.arange(num_examples) % num_classes)
    return weight / weight.sum(axis=1, keepdims=True), label


def test_known_answers():
    probability = np.array([[0.9, 0.1], [0.6, 0.4], [0.65, 0.35], [0.2, 0.8]])
    found = measure(probability, np.array([0, 0, 1, 1]))
    assert found["auc"] == 0.75  # 0.35 lies below 0.4: one pair of four is wrong
    assert found["logloss"] == pytest.approx(-np.log([0.9, 0.6, 0.35, 0.8]).mean())
    assert found["calibration"] == pytest.approx(1.65 / 2)
    assert found["accuracy"] == 0.75
    assert found["mse"] == pytest.approx((0.1**2 + 0.4**2 + 0.65**2 + 0.2**2) / 4)
    assert found["ece"] == pytest.approx((0.1 + 0.4 + 0.65 + 0.2) / 4)  # each in a bin of its own


def test_equal_probabilities_order_nothing_and_sure_ones_cost_what_the_clip_allows():
    prior = np.tile([0.75, 0.25], (4, 1))
    found = measure(prior, np.array([0, 0, 0, 1]))
    assert (found["auc"], found["calibration"]) == (0.5, 1)
    assert found["ece"] == pytest.approx(0)
    wrong = measure(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([1, 0]))
    assert (wrong["auc"], wrong["ece"]) == (0, 1)
    assert wrong["logloss"] == pytest.approx(15 * math.log(10))


@given(st.integers(4, 40), st.integers(2, 4), st.integers(0, 99))
def test_equals_the_loops(num_examples, num_classes, seed):
    probability, label = world(num_examples, num_classes, seed)
    judged = [1] if num_classes == 2 else range(num_classes)
    found = measure(probability, label)
    expected = {
        "auc": np.mean([slow_auc(probability[:, c].tolist(), (label == c).tolist()) for c in judged]),
        "logloss": slow_logloss(probability, label),
        "accuracy": np.mean([p.index(max(p)) == c for p, c in zip(probability.tolist(), label, strict=True)]),
        "ece": np.mean([slow_ece(probability[:, c], label == c) for c in judged]),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert ("calibration" in found) == ("mse" in found) == (num_classes == 2)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_auc_does_not_change_with_the_order_and_turns_around_with_the_scores(rows):
    score, positive = np.array([score / 5 for score, _ in rows]), np.array([is_one for _, is_one in rows])
    if positive.all() or not positive.any():
        return
    found = auc(score, positive)
    assert found == auc(score[::-1], positive[::-1]) == auc(score**3 + 1, positive)
    assert found == pytest.approx(1 - auc(-score, positive)) == pytest.approx(1 - auc(score, ~positive))


def test_a_class_without_examples_is_named():
    probability, label = world(20, 3, seed=1)
    with pytest.raises(ValueError, match="class 2: has no examples, so its AUC is undefined"):
        measure(probability, np.where(label == 2, 0, label))
    with pytest.raises(ValueError, match="class 0"):
        measure(probability[:, :2], np.ones(20, dtype=int))


@given(st.integers(4, 40), st.integers(2, 4), st.integers(0, 99))
def test_values_of_the_examples_have_the_metrics_as_their_means(num_examples, num_classes, seed):
    probability, label = world(num_examples, num_classes, seed)
    found = measure(probability, label)
    means = {name: value_N.mean() for name, value_N in per_example(probability, label).items()}
    assert means == pytest.approx({name: found[name] for name in means})
    assert means.keys() == {"auc", "logloss", "accuracy", *(["mse"] if num_classes == 2 else [])}
    assert "auc" not in per_example(probability, np.zeros(num_examples, dtype=int))


def test_the_scatter_of_the_examples_auc_is_delongs():
    """Their variance is S10 / m + S01 / n of DeLong, DeLong & Clarke-Pearson 1988, eq. 3 and 4."""
    probability, label = world(200, 2, seed=3)
    score, positive = probability[:, 1], label == 1
    wins = (score[positive][:, None] > score[~positive]) + 0.5 * (
        score[positive][:, None] == score[~positive]
    )
    expected = wins.mean(axis=1).var() / positive.sum() + wins.mean(axis=0).var() / (~positive).sum()
    assert per_example(probability, label)["auc"].var() / 200 == pytest.approx(expected)


def test_the_last_bin_holds_one_and_every_example_lies_in_a_bin():
    probability = np.array([0.0, 1 / 15, 0.5, 0.999, 1.0])
    examples, predicted, observed = reliability(probability, np.array([False, True, True, False, True]))
    assert examples.tolist() == [1, 1, *[0] * 5, 1, *[0] * 6, 2]
    assert predicted[14] == pytest.approx(1.999)
    assert observed.tolist() == [0, 1, *[0] * 5, 1, *[0] * 6, 1]
    assert calibration_error(probability, probability > 0.5) == pytest.approx((1 / 15 + 0.5 + 0.001) / 5)
