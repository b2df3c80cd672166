"""The rule keeps its level, and sees a real difference: a small version of the benchmark."""

import numpy as np
import pytest

from tests.benchmarks.promotion_gate import better, dense, rate, sparse, true_difference

LEVEL = 0.025


@pytest.mark.parametrize(("world", "users"), [(dense, 200), (dense, 1000), (sparse, 200), (sparse, 1000)])
def test_without_a_true_difference_few_are_promoted(world, users):
    found = rate(world, users, pairs=1000, resamples=400)
    assert found.rate <= LEVEL + 3 * np.sqrt(LEVEL * (1 - LEVEL) / 1000)


def test_at_the_margin_few_are_promoted():
    world = better(dense, 0.2)
    margin, _ = true_difference(world)
    assert rate(world, 500, pairs=600, margin=margin, resamples=400).rate <= 0.05


def test_power_grows_with_the_users_and_with_the_difference():
    small, large = better(dense, 0.1), better(dense, 0.3)
    rates = [
        rate(world, users, pairs=300, resamples=400).rate for world in (small, large) for users in (100, 800)
    ]
    assert rates[0] < rates[1] < rates[3]
    assert rates[0] < rates[2]
    assert rates[3] > 0.95
