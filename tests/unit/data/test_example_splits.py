"""Splits of examples."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.errors import InvalidInputError
from components.core.recipe.example_preparation import GivenExamples, RandomExamples, TemporalExamples
from components.data.example_splits import Examples, random, temporal
from components.data.example_splits import given as given_split
from components.data.hashes import mixed
from components.data.splits import TEST, TRAIN, VALID, sizes


def examples(rows: list[int], timestamp: list[int] | None = None, part: list[int] | None = None) -> Examples:
    """Equal numbers have equal fields."""
    return Examples(
        hash_N=mixed(np.array(rows, np.uint64)),
        timestamp_N=None if timestamp is None else np.array(timestamp),
        part_N=None if part is None else np.array(part, np.int8),
    )


@given(rows=st.lists(st.integers(0, 9), min_size=1, max_size=80), seed=st.integers(0, 99))
def test_equal_examples_share_a_part_but_where_two_meet(rows: list[int], seed: int) -> None:
    split = RandomExamples(ratio=(5, 3, 2))
    found = random(split, examples(rows), seed)
    assert np.bincount(found, minlength=3).tolist() == sizes(len(rows), split.ratio)
    parts = defaultdict(set)
    for row, part in zip(rows, found.tolist(), strict=True):
        parts[row].add(part)
    assert sum(len(some) - 1 for some in parts.values()) <= 2  # at each of two meetings, one row at most
    for row in parts:  # those that were read first go into the earlier part
        mine = found[np.array(rows) == row]
        assert mine.tolist() == sorted(mine)


def test_an_example_keeps_its_part_when_others_come() -> None:
    before = random(RandomExamples(), examples(list(range(1000))), 7)
    after = random(RandomExamples(), examples([*range(50, 1000), *range(5000, 5050)]), 7)
    assert (before[50:] == after[:950]).mean() > 0.97
    other = random(RandomExamples(), examples(list(range(1000))), 8)
    assert (before == other).mean() < 0.75


def test_the_oldest_train() -> None:
    found = temporal(TemporalExamples(ratio=(2, 1, 1)), examples([0] * 4, timestamp=[5, 9, 1, 5]), 0)
    assert found.tolist() == [TRAIN, TEST, TRAIN, VALID]
    with pytest.raises(InvalidInputError, match=r"the source has no times; .*source\.timestamp"):
        temporal(TemporalExamples(), examples([1]), 0)


def test_given_parts_stay_where_there_is_a_valid_one() -> None:
    parts = [TRAIN, VALID, TEST, TRAIN]
    assert given_split(GivenExamples(), examples([1, 2, 3, 4], part=parts), 0).tolist() == parts
    with pytest.raises(InvalidInputError, match="no `parts`"):
        given_split(GivenExamples(), examples([1]), 0)


@given(fraction=st.sampled_from([0, 0.1, 0.25, 0.5]), seed=st.integers(0, 20))
def test_some_of_train_is_set_aside_with_its_equals(fraction: float, seed: int) -> None:
    rows = [*range(40), *range(40)]
    parts = [TEST if row % 4 == 0 else TRAIN for row in rows]
    found = given_split(GivenExamples(valid_fraction=fraction), examples(rows, part=parts), seed)
    assert (found == VALID).sum() == round(fraction * 60)
    assert (found == TEST).tolist() == [part == TEST for part in parts]
    assert (found[:40] != found[40:]).sum() <= 1
