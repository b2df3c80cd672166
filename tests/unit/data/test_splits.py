"""Splits."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.errors import InvalidInputError
from components.core.recipe.prepare import GivenSplit, LeaveOneOutSplit, RandomSplit, TemporalSplit
from components.data.splits import TEST, TRAIN, VALID, Positives, leave_one_out, random, sizes, temporal
from components.data.splits import given as given_split


def positives(
    pairs: list[tuple[int, int]], timestamp: list[int] | None = None, part: list[int] | None = None
) -> Positives:
    user, item = np.array(pairs, dtype=np.int32).T
    return Positives(
        user_N=user,
        item_N=item,
        timestamp_N=None if timestamp is None else np.array(timestamp),
        part_N=None if part is None else np.array(part, dtype=np.int8),
    )


def grid(users: int, items: int) -> list[tuple[int, int]]:
    return [(user, item) for user in range(users) for item in range(items)]


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(
    count=st.integers(0, 10_000),
    ratio=st.tuples(st.floats(0.01, 100), st.floats(0, 100), st.floats(0.01, 100)),
)
def test_sizes_are_within_one_of_their_share(count: int, ratio: tuple[float, float, float]) -> None:
    found = sizes(count, ratio)
    assert sum(found) == count
    total = sum(Fraction(str(share)) for share in ratio)
    for size, share in zip(found, ratio, strict=True):
        assert abs(size - count * Fraction(str(share)) / total) < 1


@pytest.mark.parametrize(
    ("count", "ratio", "expected"),
    [(10, (3, 1, 1), [6, 2, 2]), (99, (3, 1, 1), [59, 20, 20]), (10, (0.8, 0.1, 0.1), [8, 1, 1])],
)
def test_sizes_by_hand(count: int, ratio: tuple[float, float, float], expected: list[int]) -> None:
    assert sizes(count, ratio) == expected


def test_random_is_exact_seeded_and_uniform() -> None:
    data = positives(grid(10, 10))
    parts = np.array([random(RandomSplit(), data, generator(seed)) for seed in range(2000)])
    assert (parts[0] == random(RandomSplit(), data, generator(0))).all()
    assert {tuple(np.bincount(row)) for row in parts} == {(60, 20, 20)}
    # each of 100 interactions lands in test with probability 0.2, in 2000 trials: deviation 0.009
    assert np.abs((parts == TEST).mean(axis=0) - 0.2).max() < 0.045


def test_temporal_trains_on_the_oldest() -> None:
    data = positives(grid(1, 10), timestamp=[9, 8, 7, 6, 5, 4, 3, 2, 1, 1])
    parts = temporal(TemporalSplit(), data, generator())
    assert parts.tolist() == [TEST] * 2 + [VALID] * 2 + [TRAIN] * 6
    tied = temporal(TemporalSplit(ratio=(1, 0, 1)), positives(grid(2, 2), timestamp=[5] * 4), generator())
    assert tied.tolist() == [TRAIN, TRAIN, TEST, TEST]
    with pytest.raises(InvalidInputError, match=r"source\.columns\.timestamp"):
        temporal(TemporalSplit(), positives(grid(2, 2)), generator())


def test_leave_one_out_takes_the_last_two_of_each_user() -> None:
    pairs = [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]
    data = positives(pairs, timestamp=[4, 1, 9, 2, 1, 2, 7, 7, 7])
    parts = leave_one_out(LeaveOneOutSplit(), data, generator())
    assert parts.tolist() == [VALID, TRAIN, TEST, TRAIN, TRAIN, TRAIN, TRAIN, VALID, TEST]


def test_leave_one_out_is_random_without_times() -> None:
    data = positives(grid(50, 5))
    parts = leave_one_out(LeaveOneOutSplit(), data, generator()).reshape(50, 5)
    assert ((parts == TEST).sum(axis=1) == 1).all()
    assert ((parts == VALID).sum(axis=1) == 1).all()
    assert len({row.tobytes() for row in parts}) > 10


def test_given_parts_stay_where_there_is_a_valid_one() -> None:
    data = positives(grid(1, 4), part=[TRAIN, VALID, TEST, TRAIN])
    assert given_split(GivenSplit(), data, generator()).tolist() == [TRAIN, VALID, TEST, TRAIN]
    with pytest.raises(InvalidInputError, match="no `parts`"):
        given_split(GivenSplit(), positives(grid(1, 4)), generator())


@given(seed=st.integers(0, 50), fraction=st.sampled_from([0.0, 0.1, 0.25, 0.5]))
def test_given_sets_some_of_train_aside_and_leaves_everybody_known(seed: int, fraction: float) -> None:
    pairs = grid(12, 12)
    part = np.where(generator(seed).random(len(pairs)) < 0.8, TRAIN, TEST)
    parts = given_split(
        GivenSplit(valid_fraction=fraction), positives(pairs, part=part.tolist()), generator(seed)
    )
    was_train = part == TRAIN
    assert (parts == VALID).sum() == round(fraction * was_train.sum())
    assert (parts[~was_train] == TEST).all()
    for ids in np.array(pairs).T:
        assert set(ids[parts == TRAIN]) == set(ids[was_train])
