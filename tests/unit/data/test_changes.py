"""Measures of change: known answers, invariants, and slow versions."""

from math import sqrt

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from components.data import changes
from components.data.changes import Interactions, compare, distance


def interactions(pairs, times=None) -> pl.DataFrame:
    frame = pl.DataFrame(pairs, schema=["user_id", "item_id"], orient="row")
    return frame if times is None else frame.with_columns(timestamp=pl.Series(times))


def compared(now: pl.DataFrame, before: pl.DataFrame) -> changes.Changes:
    return compare(Interactions(now.lazy()), Interactions(before.lazy()), np.random.default_rng(1))


def test_known_changes():
    before = interactions([("a", "x"), ("a", "y"), ("b", "x"), ("c", "z")], [10, 20, 30, 40])
    now = interactions([("a", "x"), ("d", "x"), ("d", "w")], [70, 45, 90])
    found = compared(now, before)
    assert found.volume == 3 / 4
    assert (found.new_users, found.lost_users) == (1 / 2, 2 / 3)
    assert (found.new_items, found.lost_items) == (1 / 2, 2 / 3)
    assert found.repeated == 1 / 3
    assert found.gap_s == 5
    assert found.popularity == pytest.approx(jensenshannon([2, 0, 0, 1], [2, 1, 1, 0], base=2))
    assert found.activity == pytest.approx(jensenshannon([1, 1], [2, 1], base=2))
    assert found.same_ids


def test_ids_of_another_type_are_other_ids():
    found = compared(interactions([(1, 7), (2, 7)]), interactions([("1", "7"), ("2", "7")]))
    assert (found.new_users, found.lost_items, found.popularity, found.repeated) == (1, 1, 1, 0)
    assert found.activity == 0
    assert not found.same_ids


def test_distance_of_two_coins():
    assert distance([1, 0], [0, 5]) == 1
    # ½ (¾ · log2(¾ / ⅝) + ¼ · log2(¼ / ⅜)) + ½ (½ · log2(½ / ⅝) + ½ · log2(½ / ⅜))
    divergence = (
        0.75 * np.log2(0.75 / 0.625) + 0.25 * np.log2(0.25 / 0.375)
        + 0.5 * np.log2(0.5 / 0.625) + 0.5 * np.log2(0.5 / 0.375)
    ) / 2  # fmt: skip
    assert distance([3, 1], [1, 1]) == pytest.approx(sqrt(divergence))


counts = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=20).filter(
    lambda both: all(map(sum, zip(*both, strict=True)))
)


@given(counts, st.integers(1, 9))
def test_distance_is_symmetric_in_bounds_and_knows_shares_only(both, times):
    left, right = (np.array(side) for side in zip(*both, strict=True))
    found = distance(left, right)
    assert 0 <= found <= 1
    assert found == pytest.approx(distance(right, left), abs=1e-7)
    assert found == pytest.approx(distance(left * times, right), abs=1e-6)
    assert found == pytest.approx(np.nan_to_num(jensenshannon(left, right, base=2)), abs=1e-6)
    assert distance(left, left * times) == pytest.approx(0, abs=1e-6)


deliveries = st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1).map(sorted)


@given(deliveries, deliveries, st.sampled_from([1, 3, 4_000_000]))
def test_changes_are_those_of_a_slow_count(now, before, matched):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(changes, "_MATCHED", matched)
        found = compared(interactions(now), interactions(before))
    for side, new, lost in (
        (0, found.new_users, found.lost_users),
        (1, found.new_items, found.lost_items),
    ):
        here, there = {pair[side] for pair in now}, {pair[side] for pair in before}
        assert new == len(here - there) / len(here)
        assert lost == len(there - here) / len(there)
    assert found.repeated == len(set(now) & set(before)) / len(now)
    assert found.volume == len(now) / len(before)
    items = range(7)
    shares = [
        [sum(pair[1] == item for pair in pairs) / len(pairs) for item in items] for pairs in (now, before)
    ]
    assert found.popularity == pytest.approx(np.nan_to_num(jensenshannon(*shares, base=2)), abs=1e-6)


@given(deliveries)
def test_a_delivery_does_not_differ_from_itself(pairs):
    found = compared(interactions(pairs), interactions(pairs))
    assert (found.volume, found.repeated) == (1, 1)
    assert (found.new_users, found.lost_users, found.new_items, found.lost_items) == (0, 0, 0, 0)
    assert (found.popularity, found.activity) == (0, 0)


def test_chance_is_what_two_samples_of_one_world_show():
    world = np.random.default_rng(1)
    shares = 1 / np.arange(1, 301)
    shares /= shares.sum()
    left, right = world.multinomial(4000, shares), world.multinomial(9000, shares)
    expected = changes.chance_distance(left, right, np.random.default_rng(2))
    assert distance(left, right) == pytest.approx(expected, rel=0.1)
    assert distance(left, np.roll(right, 1)) > 2 * expected
    more = changes.chance_distance(left * 100, right * 100, np.random.default_rng(2))
    assert more < expected / 5


def test_users_are_counted_by_powers_of_two():
    assert changes.activity(np.array([1, 0, 2, 3, 4, 7, 8, 1]))[:5].tolist() == [2, 2, 2, 1, 0]


def test_what_a_delivery_looks_like_by_itself():
    frame = interactions([(1, 5), (2, 5), (3, 5), (3, 6)], [100, 90, 80, 70])
    frame = frame.with_columns(shop=pl.Series(["a", None, "", "b"]), hour=pl.Series(["1", "2", "3", None]))
    found = Interactions(frame.lazy())
    assert changes.concentration(found) == 3 / 4
    assert changes.null_share(found, ["hour", "shop"]) == 3 / 8
    assert changes.null_share(found, []) is None
    assert changes.age(found, 160.0) == 60
    assert changes.age(Interactions(frame.drop("timestamp").lazy()), 160.0) is None
    assert changes.kept(pl.Series([1, 2, 5]), pl.Series([1, 2, 3, 4])) == 1 / 2
    assert changes.kept(pl.Series(["1", "2"]), pl.Series([1, 2])) == 0
