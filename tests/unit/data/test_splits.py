"""Splits."""

import hashlib
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.errors import InvalidInputError
from components.core.recipe.prepare import GivenSplit, LeaveOneOutSplit, RandomSplit, TemporalSplit
from components.data import splits
from components.data.splits import TEST, TRAIN, VALID, Positives, leave_one_out, random, sizes, temporal
from components.data.splits import given as given_split


def positives(
    pairs: Sequence[tuple[int, int]],
    timestamp: list[int] | None = None,
    part: list[int] | None = None,
    *,
    position: list[int] | None = None,
    text: bool = False,
) -> Positives:
    """Pairs of raw ids, sorted."""
    user, item = np.array(pairs).T
    users, user_N = np.unique(user, return_inverse=True)
    items, item_N = np.unique(item, return_inverse=True)
    kind = pa.string() if text else pa.int64()
    return Positives(
        user_N=user_N.astype(np.int32),
        item_N=item_N.astype(np.int32),
        user_ids=pa.array(users).cast(kind),
        item_ids=pa.array(items).cast(kind),
        timestamp_N=None if timestamp is None else np.array(timestamp),
        position_N=None if position is None else np.array(position),
        part_N=None if part is None else np.array(part, dtype=np.int8),
    )


def grid(users: int, items: int) -> list[tuple[int, int]]:
    return [(user, item) for user in range(users) for item in range(items)]


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
    parts = np.array([random(RandomSplit(), data, seed) for seed in range(2000)])
    assert (parts[0] == random(RandomSplit(), data, 0)).all()
    assert {tuple(np.bincount(row)) for row in parts} == {(60, 20, 20)}
    # each of 100 interactions lands in test with probability 0.2, in 2000 trials: deviation 0.009
    assert np.abs((parts == TEST).mean(axis=0) - 0.2).max() < 0.045


def drawn(count: int, seed: int) -> list[tuple[int, int]]:
    """Distinct pairs in a random order."""
    keys = np.random.default_rng(seed).choice(3000 * 2000, count, replace=False)
    return [(int(key) // 2000, int(key) % 2000 + 7) for key in keys]


@pytest.mark.parametrize("text", [False, True])
def test_random_leaves_pairs_in_their_parts_when_rows_come(text: bool) -> None:
    """1 % more rows, also of new users and items: hardly a pair of the old train is in the new test, and
    hardly one of any part moves at all."""
    pairs = drawn(50_500, 3)
    old, new = sorted(pairs[:50_000]), sorted([*pairs, (5000, 1), (5000, 9000)])
    was = dict(zip(old, random(RandomSplit(), positives(old, text=text), 1), strict=True))
    now = dict(zip(new, random(RandomSplit(), positives(new, text=text), 1), strict=True))
    leaked = sum(was.get(pair) == TRAIN for pair in new if now[pair] == TEST)
    assert leaked < 0.02 * sum(part == TEST for part in now.values())
    assert sum(now[pair] != part for pair, part in was.items()) < 0.01 * len(old)


def test_leave_one_out_leaves_pairs_in_their_parts_when_users_come() -> None:
    old, new = grid(100, 8)[8:], grid(100, 8)
    was, now = (leave_one_out(LeaveOneOutSplit(), positives(pairs), 1) for pairs in (old, new))
    assert (now[8:] == was).all()


def test_random_is_of_any_seed_and_of_any_part_of_the_pairs_alike() -> None:
    """χ² of test pairs per user and per item against their degrees of freedom: 5 deviations at most."""
    data = positives(grid(200, 300))
    for seed in range(5):
        test = (random(RandomSplit(), data, seed) == TEST).reshape(200, 300)
        for axis, size in ((1, 300), (0, 200)):
            counts = test.sum(axis=axis)
            chi_square = ((counts - 0.2 * size) ** 2 / (size * 0.2 * 0.8)).sum()
            assert abs(chi_square - len(counts)) < 5 * np.sqrt(2 * len(counts))
    one, two = (random(RandomSplit(), data, seed) == TEST for seed in (1, 2))
    assert abs((one & two).mean() - 0.04) < 0.005


def test_random_is_the_same_everywhere() -> None:
    """Against whole numbers of Python."""

    def mixed(x: int) -> int:
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB % 2**64
        return x ^ (x >> 31)

    def hashed(number: int) -> int:
        return int.from_bytes(hashlib.blake2b(str(number).encode(), digest_size=8).digest(), "little")

    def place(pair: tuple[int, int]) -> int:
        user, item = map(hashed, pair)
        return mixed((user + mixed((item + mixed(42)) % 2**64)) % 2**64)

    pairs = grid(3, 5)
    order = sorted(pairs, key=place)
    part = dict(zip(order, [TRAIN] * 9 + [VALID] * 3 + [TEST] * 3, strict=True))
    for text in (False, True):
        found = random(RandomSplit(), positives(pairs, text=text), 42)
        assert found.tolist() == [part[pair] for pair in pairs]
    assert found.tolist() == [0, 0, 0, 1, 0, 2, 1, 0, 0, 0, 2, 2, 0, 1, 0]


def test_temporal_trains_on_the_oldest() -> None:
    data = positives(grid(1, 10), timestamp=[9, 8, 7, 6, 5, 4, 3, 2, 1, 1])
    parts = temporal(TemporalSplit(), data, 0)
    assert parts.tolist() == [TEST] * 2 + [VALID] * 2 + [TRAIN] * 6
    tied = temporal(TemporalSplit(ratio=(1, 0, 1)), positives(grid(2, 2), timestamp=[5] * 4), 0)
    assert tied.tolist() == [TRAIN, TRAIN, TEST, TEST]
    with pytest.raises(InvalidInputError, match=r"source\.columns\.timestamp"):
        temporal(TemporalSplit(), positives(grid(2, 2)), 0)


def test_leave_one_out_takes_the_last_two_of_each_user() -> None:
    pairs = [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]
    data = positives(pairs, timestamp=[4, 1, 9, 2, 1, 2, 7, 7, 7])
    parts = leave_one_out(LeaveOneOutSplit(), data, 0)
    assert parts.tolist() == [VALID, TRAIN, TEST, TRAIN, TRAIN, TRAIN, TRAIN, VALID, TEST]


def test_leave_one_out_goes_by_positions_where_there_are_no_times() -> None:
    pairs = [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)]
    data = positives(pairs, position=[4, 1, 9, 2, 1, 2])
    parts = leave_one_out(LeaveOneOutSplit(), data, 0)
    assert parts.tolist() == [VALID, TRAIN, TEST, TRAIN, TRAIN, TRAIN]
    both = positives(pairs, timestamp=[1, 2, 3, 4, 5, 6], position=[4, 1, 9, 2, 1, 2])
    parts = leave_one_out(LeaveOneOutSplit(), both, 0)
    assert parts.tolist() == [TRAIN, TRAIN, VALID, TEST, TRAIN, TRAIN]


def test_leave_one_out_is_random_without_times() -> None:
    data = positives(grid(50, 5))
    parts = leave_one_out(LeaveOneOutSplit(), data, 0).reshape(50, 5)
    assert ((parts == TEST).sum(axis=1) == 1).all()
    assert ((parts == VALID).sum(axis=1) == 1).all()
    assert len({row.tobytes() for row in parts}) > 10


def test_given_parts_stay_where_there_is_a_valid_one() -> None:
    data = positives(grid(1, 4), part=[TRAIN, VALID, TEST, TRAIN])
    assert given_split(GivenSplit(), data, 0).tolist() == [TRAIN, VALID, TEST, TRAIN]
    with pytest.raises(InvalidInputError, match="no `parts`"):
        given_split(GivenSplit(), positives(grid(1, 4)), 0)


@given(seed=st.integers(0, 50), fraction=st.sampled_from([0.0, 0.1, 0.25, 0.5]))
def test_given_sets_some_of_train_aside_and_leaves_everybody_known(seed: int, fraction: float) -> None:
    pairs = grid(12, 12)
    part = np.where(np.random.default_rng(seed).random(len(pairs)) < 0.8, TRAIN, TEST)
    parts = given_split(GivenSplit(valid_fraction=fraction), positives(pairs, part=part.tolist()), seed)
    was_train = part == TRAIN
    assert (parts == VALID).sum() == round(fraction * was_train.sum())
    assert (parts[~was_train] == TEST).all()
    for ids in np.array(pairs).T:
        assert set(ids[parts == TRAIN]) == set(ids[was_train])


@given(
    keys=st.lists(st.integers(0, 9), min_size=1, max_size=60),
    ratio=st.tuples(st.floats(0.01, 9), st.floats(0, 9), st.floats(0.01, 9)),
)
def test_parts_are_those_of_a_full_sort(keys: list[int], ratio: tuple[float, float, float]) -> None:
    data = positives([(user, 0) for user in range(len(keys))], timestamp=keys)
    expected = np.empty(len(keys), np.int8)
    expected[np.argsort(keys, kind="stable")] = np.repeat([TRAIN, VALID, TEST], sizes(len(keys), ratio))
    assert temporal(TemporalSplit(ratio=ratio), data, 0).tolist() == expected.tolist()


@given(times=st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=6), min_size=1, max_size=12))
def test_leaving_one_out_is_the_same_in_ranges_of_users(times: list[list[int]]) -> None:
    pairs = [(user, item) for user, row in enumerate(times) for item in range(len(row))]
    data = positives(pairs, timestamp=[time for row in times for time in row])
    whole = leave_one_out(LeaveOneOutSplit(), data, 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splits, "_SORTED", 3)
        assert leave_one_out(LeaveOneOutSplit(), data, 0).tolist() == whole.tolist()
