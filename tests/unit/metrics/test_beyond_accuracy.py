"""Coverage, Gini and popularity on lists that can be counted by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.metrics.beyond_accuracy import beyond_accuracy, gini


def test_measures_of_three_short_lists():
    lists = np.array([[0, 1], [0, 2], [0, -1]])  # the third knows one item only
    found = beyond_accuracy(lists, np.array([8, 4, 2, 2]), num_users=10, ks=(1, 2))
    assert found == pytest.approx(
        {
            "coverage@1": 1 / 4,
            "gini@1": 1,
            "popularity@1": 0.8,
            "coverage@2": 3 / 4,
            "gini@2": (-3 * 0 - 1 * 1 + 1 * 1 + 3 * 3) / 5 / 3,  # shown 3, 1, 1 and 0 times
            "popularity@2": (3 * 0.8 + 0.4 + 0.2) / 5,
        }
    )


def test_lists_without_anything_are_defined():
    found = beyond_accuracy(np.full((2, 1), -1), np.array([1, 1]), num_users=2, ks=(1,))
    assert found == {"coverage@1": 0, "gini@1": 0, "popularity@1": 0}


@pytest.mark.parametrize(("counts", "expected"), [([5], 0), ([2, 2, 2], 0), ([0, 0, 7], 1), ([0, 1], 1)])
def test_gini_of_the_extremes(counts, expected):
    assert gini(np.array(counts)) == pytest.approx(expected)


@given(st.lists(st.integers(0, 50), min_size=2, max_size=20).filter(any))
def test_gini_is_half_the_relative_mean_difference(counts):
    """Over pairs of different items, as Gini defined it."""
    count = np.array(counts)
    pairs = np.abs(count[:, None] - count).sum() / (len(count) * (len(count) - 1))
    assert gini(count) == pytest.approx(pairs / (2 * count.mean()))
