"""Paired comparisons against slow and independent versions, and where there is next to nothing to compare."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from components.metrics.bootstrap import interval, resampled_means
from components.metrics.comparison import compare, paired_test

HOW = {"confidence": 0.95, "resamples": 2000, "seed": 1}


def sparse(num_users: int, seed: int = 3) -> np.ndarray:
    """Differences as metrics have them: mostly none, few distinct ones, some of their own."""
    generator = np.random.default_rng(seed)
    kind = generator.choice(3, size=num_users, p=[0.6, 0.25, 0.15])
    few = generator.choice([-1.0, -0.5, 0.5, 1.0], num_users)
    return np.where(kind == 0, 0.0, np.where(kind == 1, few, generator.normal(0.1, 0.3, num_users)))


def test_resampled_means_are_distributed_as_those_of_a_slow_loop():
    value = sparse(120)
    generator = np.random.default_rng(0)
    slow = [value[generator.integers(120, size=120)].mean() for _ in range(20_000)]
    fast = resampled_means(value[:, None], 20_000, seed=1)[:, 0]
    assert stats.ks_2samp(slow, fast).pvalue > 0.01


def test_every_resample_holds_as_many_rows_as_there_are():
    """A column of ones has mean 1 in each resample, whichever rows are drawn together."""
    for values in (sparse(500), np.zeros(50), np.arange(300.0)):
        drawn = resampled_means(np.column_stack([values, np.ones(len(values))]), 300, seed=2)
        assert drawn[:, 1] == pytest.approx(1)


def test_columns_share_their_resamples_and_a_seed_gives_the_same_ones():
    value = sparse(200)
    drawn = resampled_means(np.column_stack([value, 2 * value + 1]), 500, seed=4)
    assert drawn[:, 1] == pytest.approx(2 * drawn[:, 0] + 1)
    assert (drawn == resampled_means(np.column_stack([value, 2 * value + 1]), 500, seed=4)).all()
    assert (drawn != resampled_means(np.column_stack([value, 2 * value + 1]), 500, seed=5)).any()


def test_for_many_users_the_interval_is_scipys():
    value = sparse(2000)
    (low,), (high,) = interval(value[:, None], confidence=0.9, resamples=20_000, seed=1)
    expected = stats.bootstrap(
        (value,), np.mean, n_resamples=20_000, confidence_level=0.9, method="percentile", rng=0
    ).confidence_interval
    width = expected.high - expected.low
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.02 * width)


def test_for_few_users_the_interval_is_wider_than_the_percentiles():
    value = np.array([0.1, 0.2, 0.4, 0.0, 0.5])
    (low,), (high,) = interval(value[:, None], confidence=0.9, resamples=50_000, seed=1)
    n = 4  # who differ
    tail = stats.norm.cdf(np.sqrt(n / (n - 1)) * stats.t.ppf(0.05, n - 1))
    drawn = np.random.default_rng(0).choice(value, (50_000, 5)).mean(axis=1)
    assert (low, high) == pytest.approx(np.quantile(drawn, [tail, 1 - tail]), abs=0.011)


@pytest.mark.parametrize(
    ("difference", "expected"),
    [
        ([0.0, 0.0, 0.0], (0, 0)),
        ([0.25, 0.25, 0.25], (0.25, 0.25)),  # what everybody gains is the mean of every sample
        ([0.25], (-1, 1)),
        ([0.0], (-1, 1)),
    ],
)
def test_intervals_are_defined_where_there_is_little(difference, expected):
    (low,), (high,) = interval(np.array(difference)[:, None], **HOW)
    assert (low, high) == expected


def test_the_paired_test_is_scipys_and_defined_where_nothing_differs():
    one, other = sparse(300, 1), sparse(300, 2)
    columns = np.column_stack([one - other, np.zeros(300), np.full(300, 0.5)])
    assert paired_test(columns) == pytest.approx([stats.ttest_rel(one, other).pvalue, 1, 0])
    assert paired_test(np.array([[0.5]])) == [1]


def test_a_comparison_counts_users_and_tells_both_means():
    one, other = np.array([0.5, 0.2, 0.0, 1.0]), np.array([0.25, 0.2, 0.5, 0.5])
    (found,) = compare({"m": one}, {"champion": {"m": other}}, **HOW)["champion"].values()
    assert (found.challenger, found.other) == (0.425, 0.3625)
    assert (found.better, found.equal, found.worse) == (2, 1, 1)
    assert found.difference == pytest.approx(0.0625)
    assert found.low <= found.difference <= found.high
    assert compare({"m": one}, {}, **HOW) == {}


def test_a_metric_does_not_depend_on_the_models_that_it_is_compared_with_together():
    one = {"m": sparse(50, 1)}
    alone = compare(one, {"champion": {"m": np.zeros(50)}}, **HOW)["champion"]["m"]
    both = compare(one, {"champion": {"m": np.zeros(50)}, "popularity": {"m": one["m"]}}, **HOW)
    assert both["popularity"]["m"].high == 0
    together = both["champion"]["m"]
    assert together.difference == alone.difference
    assert together.p_value == pytest.approx(alone.p_value)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.data())
def test_of_two_models_at_most_one_is_surely_better(values, data):
    one = np.array(values)
    other = np.array(data.draw(st.lists(st.floats(0, 1), min_size=len(values), max_size=len(values))))
    low, high = interval(np.column_stack([one - other, other - one]), **(HOW | {"resamples": 200}))
    assert not (low > 0).all()
    assert (low, high) == (pytest.approx(-high[::-1]), pytest.approx(-low[::-1]))
