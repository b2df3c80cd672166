"""Who belongs to which slice, and what the champion has learned."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from components.evaluate.ranking.scoring import learned_share, read_exam
from components.evaluate.ranking.slices import grade_tail, light_and_heavy, read_slices, tail_items

CPU = torch.device("cpu")


def test_quarters_with_ties():
    light, heavy = light_and_heavy(np.array([1, 2, 2, 3, 4, 5, 6, 9]))
    assert light.tolist() == [True, True, True, *[False] * 5]  # as many as the quarter's last
    assert heavy.tolist() == [*[False] * 5, True, True, True]
    light, heavy = light_and_heavy(np.array([3, 3, 3]))
    assert light.all()
    assert not heavy.any()


@given(st.lists(st.integers(0, 9), min_size=1, max_size=50))
def test_nobody_is_light_and_heavy_and_who_has_as_many_is_with_them(counts):
    count = np.array(counts)
    light, heavy = light_and_heavy(count)
    assert not (light & heavy).any()
    assert light.mean() >= 0.25
    assert len(set(count[light]) & set(count[~light])) == 0
    assert len(set(count[heavy]) & set(count[~heavy])) == 0


@pytest.mark.parametrize(
    ("popularity", "tail"),
    [
        ([6, 3, 2, 1], [False, True, True, True]),  # the first alone has a third of the twelve
        ([3, 3, 3, 3], [False] * 4),  # all are as popular as the head's last
        ([4, 3, 3, 5], [True, True, True, False]),  # five are exactly a third
        ([9, 0, 0], [False, True, True]),
    ],
)
def test_the_head_has_a_third_of_the_interactions(popularity, tail):
    assert tail_items(np.array(popularity)).tolist() == tail


def test_tail_metrics_count_tail_items_alone_in_lists_that_stay_what_they_are(loop):
    # item 0 is the head: everybody has it but users 0 and 1
    train = [(user, 0) for user in range(2, 12)] + [(user, 1 + user % 3) for user in range(12)]
    loop.interactions()
    test = [(0, 0), (0, 3), (1, 0), (2, 3)]
    exam = read_exam(loop.dataset(list(range(12)), list("abcd"), train, [], test), "train", CPU)
    slices = read_slices(exam, np.array([True, False, False]))
    assert slices.tail_I.tolist() == [False, True, True, True]
    assert slices.num_tail_Q.tolist() == [1, 0, 1]
    assert slices.members["new_users"].tolist() == [False, True, True]
    lists = torch.tensor([[0, 3], [0, 1], [1, 2]])
    found = grade_tail(lists, exam, slices, (1, 2))
    assert found["recall@1"].tolist() == [0, 0]  # user 0's first is the head's
    assert found["recall@2"].tolist() == [1, 0]
    assert found["ndcg@2"] == pytest.approx([1 / np.log2(3), 0])


def test_what_the_champion_learned_is_counted_by_raw_ids(loop):
    loop.interactions()
    old = loop.dataset(["9", "8"], ["y", "x", "z"], [(0, 0), (1, 1)], [(1, 2)], [(0, 1)])
    kept = old.rename(loop.root / "old")
    # today "8" is user 0; the champion had (8, x) in train, (8, z) in valid and (9, x) in test only
    test = [(0, 0), (0, 1), (0, 2), (1, 0), (2, 0)]
    today = loop.dataset([8, 9, 10], ["x", "y", "z"], [(0, 0), (1, 1), (2, 2)], [], test)
    assert learned_share(read_exam(today, "train", CPU), kept) == pytest.approx(2 / 5)
