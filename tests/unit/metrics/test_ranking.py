"""Ranking metrics against a plain loop over users."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.metrics.ranking import cut_off, per_user


def slow_metrics(hits: list[bool], num_relevant: int, k: int) -> dict[str, float]:
    found = sum(hits[:k])
    gain = sum(1 / math.log2(place + 2) for place, hit in enumerate(hits[:k]) if hit)
    ideal = sum(1 / math.log2(place + 2) for place in range(min(num_relevant, k)))
    return {
        f"recall@{k}": found / num_relevant,
        f"ndcg@{k}": gain / ideal,
        f"precision@{k}": found / k,
        f"hit_ratio@{k}": float(found > 0),
    }


@settings(max_examples=80, deadline=None)
@given(
    lists=st.lists(st.lists(st.booleans(), min_size=10, max_size=10), min_size=1, max_size=6),
    more=st.integers(0, 30),
)
def test_equals_the_loop(lists: list[list[bool]], more: int) -> None:
    num_relevant = np.array([max(sum(hits) + more, 1) for hits in lists])
    found = per_user(np.array(lists), num_relevant, [1, 3, 10])
    for row, hits in enumerate(lists):
        for k in (1, 3, 10):
            for name, value in slow_metrics(hits, int(num_relevant[row]), k).items():
                assert found[name][row] == pytest.approx(value, abs=1e-12)


def test_known_answer() -> None:
    found = per_user(np.array([[True, False, True]]), np.array([2]), [3])
    assert found["recall@3"] == 1.0
    assert found["ndcg@3"][0] == pytest.approx((1 + 1 / 2) / (1 + 1 / math.log2(3)))
    assert found["precision@3"][0] == pytest.approx(2 / 3)


def test_cut_off_is_the_largest_k() -> None:
    assert cut_off(["ndcg@20", "recall@5"]) == 20
