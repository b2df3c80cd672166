"""Splits of examples."""

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


@given(rows=st.lists(st.integers(0, 99), min_size=200, max_size=300), seed=st.integers(0, 99))
def test_equal_examples_share_a_part_but_where_two_meet(rows: list[int], seed: int) -> None:
    split = RandomExamples(ratio=(5, 3, 2))
    found = random(split, examples(rows), seed)
    assert np.bincount(found, minlength=3).tolist() == sizes(len(rows), split.ratio)
    together = [row for row in set(rows) if rows.count(row) <= len(rows) * 2 // 10 // 10]
    parts = [found[np.array(rows) == row] for row in together]
    assert sum(len(set(part.tolist())) - 1 for part in parts) <= 2  # at each meeting, one row at most
    for part in parts:  # those that were read first go into the earlier part
        assert part.tolist() == sorted(part)


def test_examples_that_very_many_are_equal_to_are_drawn_by_themselves() -> None:
    """Three kinds of examples alone: every part has all of them, in their shares."""
    rows = [0] * 3000 + [1] * 2000 + [2] * 1000
    found = random(RandomExamples(), examples(rows), 3)
    for part in (TRAIN, VALID, TEST):
        shares = np.bincount(np.array(rows)[found == part], minlength=3) / (found == part).sum()
        assert shares == pytest.approx([3 / 6, 2 / 6, 1 / 6], abs=0.06)
    more = random(RandomExamples(), examples([*rows, *[2] * 60]), 3)
    assert (more[:6000] == found).mean() > 0.97


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
    rows = [*range(400), *range(400)]
    parts = [TEST if row % 4 == 0 else TRAIN for row in rows]
    found = given_split(GivenExamples(valid_fraction=fraction), examples(rows, part=parts), seed)
    assert (found == VALID).sum() == round(fraction * 600)
    assert (found == TEST).tolist() == [part == TEST for part in parts]
    assert (found[:400] != found[400:]).sum() <= 1
