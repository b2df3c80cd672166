"""Histories in the order of time, and how an epoch goes through them."""

import itertools
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from components.core.errors import InvalidInputError
from components.core.recipe.sequences import SasRec
from components.data.parquet import write_table
from components.rec.data import PairBatch, RankingData
from components.rec.sequences.histories import NONE, Histories, last_items, of_like_length, put_back
from components.rec.sequences.passes import SequencePasses
from tests.unit.rec.conftest import in_order, make_data

CPU = torch.device("cpu")


def rows(history: object) -> list[list[int]]:
    offsets, values = history.offsets.tolist(), history.values.tolist()  # type: ignore[attr-defined]
    return [values[start:stop] for start, stop in itertools.pairwise(offsets)]


def write_parts(place: Path, time: str) -> Path:
    """Two parts, sorted by user and item as prepare leaves them; user 1 has nothing in valid."""
    place.mkdir()
    train = {"user": [0, 0, 0, 1, 1, 2], "item": [1, 2, 3, 0, 4, 2], time: [30, 10, 20, 7, 7, 1]}
    valid = {"user": [0, 2], "item": [5, 0], time: [40, 2]}
    for part, columns in (("train", train), ("valid", valid)):
        write_table(
            pa.table({name: pa.array(values) for name, values in columns.items()}), place / f"{part}.parquet"
        )
    return place


@pytest.mark.parametrize("time", ["timestamp", "position"])
def test_histories_go_by_time_and_ties_by_item(time: str, tmp_path: Path) -> None:
    histories = Histories.load(write_parts(tmp_path / "dataset", time), 4, CPU)
    assert rows(histories.train) == [[2, 3, 1], [0, 4], [2], []]
    assert rows(histories.valid) == [[2, 3, 1, 5], [0, 4], [2, 0], []]
    assert histories.upto("train") is histories.train
    assert histories.upto("valid") is histories.valid


def test_without_an_order_there_is_no_history(tmp_path: Path) -> None:
    dataset = write_parts(tmp_path / "dataset", "rating")
    with pytest.raises(InvalidInputError, match="neither timestamps nor positions"):
        Histories.load(dataset, 4, CPU)


@settings(max_examples=50, deadline=None)
@given(lengths=st.lists(st.integers(0, 9), min_size=1, max_size=6), length=st.integers(1, 6), data=st.data())
def test_last_items_stand_at_the_end(lengths: list[int], length: int, data: st.DataObject) -> None:
    items = [[10 * row + place for place in range(count)] for row, count in enumerate(lengths)]
    history = in_order([(row, item) for row, some in enumerate(items) for item in some], len(lengths))
    asked = data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, max_size=5))
    ends = [data.draw(st.integers(0, lengths[row])) for row in asked]
    if not history.values.numel():
        return
    found = last_items(history, torch.tensor(asked), torch.tensor(ends), length)
    for row, end, got in zip(asked, ends, found.tolist(), strict=True):
        before = items[row][:end][-length:]
        assert got == [NONE] * (length - len(before)) + before


def world() -> RankingData:
    """Histories of 1, 2, 3 … 12 items, in an order that is not that of their numbers."""
    pairs = [(user, (7 * place + user) % 20) for user in range(12) for place in range(user + 1)]
    return make_data(12, 20, pairs, [])


def batches(num_targets: int, seed: int, first: int = 0, size: int = 5) -> list[PairBatch]:
    passes = SequencePasses(SasRec(max_length=4, num_targets=num_targets), world())
    assert len(passes) == 11  # the first user has a single item
    return list(passes.batches(size, torch.Generator().manual_seed(seed), first))


def test_histories_of_one_item_teach_nothing() -> None:
    alone = make_data(3, 4, [(user, user) for user in range(3)], [])
    with pytest.raises(InvalidInputError, match=r"got 'sasrec', .* none of 3 users has two items in train"):
        SequencePasses(SasRec(), alone)


@pytest.mark.parametrize("num_targets", [1, 5])
def test_an_epoch_passes_each_history_once(num_targets: int) -> None:
    """What is read and what follows it stand next to each other in the history."""
    history = rows(world().in_time.train)
    cuts = set()
    for seed in range(50):
        users = []
        for batch in batches(num_targets, seed):
            assert batch.past is not None
            assert len(batch) == len(batch.past.user_S)
            assert batch.past.user_S.tolist() == sorted(set(batch.past.user_S.tolist()))
            for user, read in zip(batch.past.user_S.tolist(), batch.past.item_ST.tolist(), strict=True):
                whole, last = history[user], read[-1]
                cut = whole.index(last) + 1
                before = whole[:cut][-4:]
                assert read == [NONE] * (4 - len(before)) + before
                assert batch.item[batch.user == user].tolist() == whole[cut : cut + num_targets]
                users.append(user)
                cuts.add((user, cut))
        assert sorted(users) == list(range(1, 12))
    assert cuts == {(user, cut) for user in range(1, 12) for cut in range(1, user + 1)}


def test_an_epoch_that_is_resumed_goes_on_with_its_batches() -> None:
    whole, rest = batches(5, 3), batches(5, 3, first=1)
    assert [len(batch) for batch in whole] == [5, 5, 1]
    for ours, theirs in zip(whole[1:], rest, strict=True):
        assert ours.past is not None
        assert theirs.past is not None
        assert torch.equal(ours.past.item_ST, theirs.past.item_ST)
        assert torch.equal(ours.item, theirs.item)


@settings(max_examples=50, deadline=None)
@given(lengths=st.lists(st.integers(0, 15), min_size=1, max_size=20), longest=st.integers(1, 15))
def test_each_history_is_in_one_group_and_goes_back_to_its_place(lengths: list[int], longest: int) -> None:
    """Nothing is lost but empty space, of which a group has no more than of items, except around one item."""
    items = [[100 * row + place for place in range(count)][-longest:] for row, count in enumerate(lengths)]
    whole = torch.tensor([[NONE] * (longest - len(some)) + some for some in items])
    groups = of_like_length(whole)
    for group in groups:
        assert all(2 * (row != NONE).sum() >= len(row) or len(row) == 1 for row in group.item_GT)
    front = [torch.nn.functional.pad(group.item_GT, (longest, 0), value=NONE) for group in groups]
    assert torch.equal(put_back(groups, [part[:, -longest:] for part in front]), whole)
