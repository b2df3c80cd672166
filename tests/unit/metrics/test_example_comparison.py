"""Paired comparisons of classifiers: the bootstrap against a slow loop, and DeLong's test against both."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from components.compiled import available
from components.metrics import example_comparison
from components.metrics.classification import measure
from components.metrics.example_comparison import compare, compare_slice

HOW = {"confidence": 0.95, "resamples": 2000, "seed": 1}


def world(
    num_examples: int, num_classes: int = 2, seed: int = 3
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, and two models that see the same through noise of their own; some of what they say is equal."""
    generator = np.random.default_rng(seed)
    label = generator.permutation(np.arange(num_examples) % num_classes)
    taste = np.eye(num_classes)[label] + generator.normal(0, 1, (num_examples, num_classes))
    models = []
    for noise in (0.5, 0.7):
        logit = np.round(taste + generator.normal(0, noise, taste.shape), 1)
        models.append(np.exp(logit) / np.exp(logit).sum(axis=1, keepdims=True))
    return models[0], models[1], label


def slow_bootstrap(ours: np.ndarray, theirs: np.ndarray, label: np.ndarray, resamples: int) -> np.ndarray:
    generator = np.random.default_rng(0)
    found = []
    for _ in range(resamples):
        drawn = generator.integers(len(label), size=len(label))
        one, other = (measure(model[drawn], label[drawn]) for model in (ours, theirs))
        found.append([one["auc"] - other["auc"], one["logloss"] - other["logloss"]])
    return np.array(found)


@pytest.mark.parametrize("num_classes", [2, 3])
def test_intervals_are_those_of_a_slow_bootstrap(num_classes):
    ours, theirs, label = world(300, num_classes)
    slow = slow_bootstrap(ours, theirs, label, 2000)
    found = compare(ours, {"champion": theirs}, label, **HOW)["champion"]
    for column, metric in enumerate(("auc", "logloss")):
        low, high = np.quantile(slow[:, column], [0.025, 0.975])
        assert (found[metric].low, found[metric].high) == pytest.approx((low, high), abs=0.1 * (high - low))
        assert found[metric].challenger == pytest.approx(measure(ours, label)[metric])
        assert found[metric].other == pytest.approx(measure(theirs, label)[metric])
        assert found[metric].difference == pytest.approx(found[metric].challenger - found[metric].other)


@pytest.mark.parametrize("num_classes", [2, 3])
def test_delongs_interval_is_the_bootstraps(num_classes):
    ours, theirs, label = world(1500, num_classes)
    drawn = compare(ours, {"champion": theirs}, label, **HOW)["champion"]
    for metric, worked_out in compare_slice(ours, theirs, label, confidence=0.95).items():
        width = drawn[metric].high - drawn[metric].low
        ends = (worked_out.low, worked_out.high)
        assert ends == pytest.approx((drawn[metric].low, drawn[metric].high), abs=0.07 * width)
        assert worked_out.p_value == drawn[metric].p_value


def test_p_values_are_delongs_and_the_paired_t_tests():
    """DeLong, DeLong & Clarke-Pearson 1988, eq. 5, written out for two models."""
    ours, theirs, label = world(400)
    positive = label == 1
    wins = [
        (score[positive][:, None] > score[~positive]) + 0.5 * (score[positive][:, None] == score[~positive])
        for score in (ours[:, 1], theirs[:, 1])
    ]
    by_positive, by_negative = (wins[0].mean(axis=axis) - wins[1].mean(axis=axis) for axis in (1, 0))
    error = np.sqrt(by_positive.var(ddof=1) / positive.sum() + by_negative.var(ddof=1) / (~positive).sum())
    z = (wins[0].mean() - wins[1].mean()) / error
    found = compare(ours, {"champion": theirs}, label, **HOW)["champion"]
    assert found["auc"].p_value == pytest.approx(2 * stats.norm.sf(abs(z)), rel=0.02)
    losses = [-np.log(model[np.arange(400), label]) for model in (ours, theirs)]
    assert found["logloss"].p_value == pytest.approx(stats.ttest_rel(*losses).pvalue)


def test_equal_models_tie_surely():
    ours, _, label = world(100)
    for found in compare(ours, {"champion": ours}, label, **HOW)["champion"].values():
        assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_others_do_not_change_each_other_and_a_seed_gives_the_same():
    ours, theirs, label = world(120)
    prior = np.full_like(ours, 0.5)
    both = compare(ours, {"champion": theirs, "prior": prior}, label, **HOW)
    assert both["champion"] == compare(ours, {"champion": theirs}, label, **HOW)["champion"]
    assert both["prior"]["auc"].other == 0.5
    assert both["prior"]["auc"].low > 0
    again = compare(ours, {"champion": theirs}, label, **(HOW | {"seed": 2}))["champion"]
    assert again["auc"].low != both["champion"]["auc"].low
    assert again["auc"].p_value == both["champion"]["auc"].p_value
    assert compare(ours, {}, label, **HOW) == {}


def test_a_single_example_of_a_class_tells_nothing_of_auc():
    ours, theirs, _ = world(30)
    label = np.array([1, *[0] * 29])
    for found in (
        compare(ours, {"champion": theirs}, label, **HOW)["champion"],
        compare_slice(ours, theirs, label, confidence=0.95),
    ):
        assert (found["auc"].low, found["auc"].high) == (-1, 1)
        assert found["logloss"].high - found["logloss"].low < 2
    assert set(compare_slice(ours, theirs, 0 * label, confidence=0.95)) == {"logloss"}
    (alone,) = compare_slice(ours[:1], theirs[:1], label[:1], confidence=0.95).values()
    assert alone.high == -alone.low == pytest.approx(15 * np.log(10))


@settings(max_examples=30, deadline=None)
@given(st.integers(4, 30), st.integers(0, 99))
def test_of_two_models_at_most_one_is_surely_better(num_examples, seed):
    ours, theirs, label = world(num_examples, seed=seed)
    one, other = (
        compare(*pair, label, **(HOW | {"resamples": 200}))["x"]
        for pair in ((ours, {"x": theirs}), (theirs, {"x": ours}))
    )
    for metric in one:
        ends = (-other[metric].high, -other[metric].low)
        assert (one[metric].low, one[metric].high) == pytest.approx(ends, abs=1e-12)


@pytest.mark.skipif(not available(), reason="Numba is missing")
@given(st.integers(4, 60), st.integers(2, 4), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_both_forms_give_the_same_bits(num_examples, num_classes, seed):
    ours, theirs, label = world(num_examples, num_classes, seed)
    found = []
    for here in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(example_comparison, "available", lambda here=here: here)
            found.append(compare(ours, {"x": theirs}, label, **(HOW | {"resamples": 100})))
    assert found[0] == found[1]


def test_without_a_true_difference_few_are_surely_better():
    """Two models of the same quality: 2.5 % on either side."""
    better = []
    for seed in range(400):
        generator = np.random.default_rng(seed)
        label = (generator.random(300) < 0.3).astype(int)
        taste = label + generator.normal(0, 1, 300)
        chance = [1 / (1 + np.exp(1 - taste - generator.normal(0, 0.5, 300))) for _ in range(2)]
        ours, theirs = (np.column_stack([1 - p, p]) for p in chance)
        found = compare_slice(ours, theirs, label, confidence=0.95)
        drawn = compare(ours, {"x": theirs}, label, confidence=0.95, resamples=200, seed=seed)["x"]
        better.append([found["auc"].low > 0, drawn["auc"].low > 0, drawn["logloss"].high < 0])
    assert (np.mean(better, axis=0) <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / 400)).all()
