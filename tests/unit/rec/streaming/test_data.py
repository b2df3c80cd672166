"""A prepared stream in the ids of the model that follows it."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.data.parquet import write_table
from components.rec.streaming.data import NO_IDS, StreamData, read_ids
from components.rec.streaming.model import SIDES

from .streams import write_dataset

IDS = st.lists(st.sampled_from("abcdefgh"), unique=True)
PAIRS = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("abcdefgh")), min_size=2, max_size=30)


def known(users: list[str], items: list[str]) -> dict[str, pa.Array]:
    return {"user": pa.array(users, pa.string()), "item": pa.array(items, pa.string())}


@settings(max_examples=100, deadline=None)
@given(users=IDS, items=IDS, pairs=PAIRS, num_test=st.integers(1, 29))
def test_ids_go_on_from_those_that_are_known(
    users: list[str],
    items: list[str],
    pairs: list[tuple[str, str]],
    num_test: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    rows = [(*pair, place % 2, 10 * place) for place, pair in enumerate(pairs)]
    num_test = min(num_test, len(rows) - 1)
    dataset = write_dataset(tmp_path_factory.mktemp("dataset"), rows, num_test)
    num_train = len(rows) - num_test
    for parts, chosen in (
        (["train"], rows[:num_train]),
        (["test"], rows[num_train:]),
        (["train", "test"], rows),
    ):
        stream = StreamData.load(dataset, parts, known(users, items))
        for place, side, before in ((0, "user", users), (1, "item", items)):
            number = {one: n for n, one in enumerate(before)}
            for row in rows:  # the whole stream's, in the order in which they appear
                number.setdefault(row[place], len(number))
            assert stream.ids[side].to_pylist() == list(number)
            assert stream.batch.ids(side).tolist() == [number[row[place]] for row in chosen]
        assert stream.batch.label_B.tolist() == [row[2] for row in chosen]
        assert stream.row_N.tolist() == [rows.index(row) for row in chosen]
        assert stream.last == chosen[-1][3]
        assert stream.classes == ("0", "1")
        assert len(stream) == len(chosen)


def test_the_tail_after_train_has_the_ids_of_both_at_once(tmp_path: Path) -> None:
    """Whoever followed train knows its ids, and those that come in the tail are numbered as they come."""
    rows = [("u1", "a", 0, 1), ("u0", "b", 1, 2), ("u2", "a", 0, 3), ("u0", "c", 1, 4), ("u3", "b", 0, 5)]
    dataset = write_dataset(tmp_path / "dataset", rows, 3)
    train = StreamData.load(dataset, ["train"], NO_IDS)
    learned = {side: train.ids[side].slice(0, int(train.batch.ids(side).max()) + 1) for side in SIDES}
    assert learned["user"].to_pylist() == ["u1", "u0"]
    tail, both = (
        StreamData.load(dataset, ["test"], learned),
        StreamData.load(dataset, ["train", "test"], NO_IDS),
    )
    for side in SIDES:
        assert tail.batch.ids(side).tolist() == both.batch.ids(side).tolist()[2:]
        assert tail.ids[side].equals(both.ids[side])


def test_a_number_is_the_same_id_as_its_digits(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "dataset", [("7", "1", 0, 1), ("12", "2", 1, 2)], 1)
    stream = StreamData.load(dataset, ["train", "test"], known(["12", "0012"], []))
    assert stream.batch.user_B.tolist() == [2, 0]
    assert stream.ids["user"].to_pylist() == ["12", "0012", "7"]


def test_ids_are_read_in_the_order_of_their_table(tmp_path: Path) -> None:
    for side, ids in (("user", ["c", "a", "b"]), ("item", ["2", "1"])):
        table = pa.table({side: pa.array(range(len(ids)), pa.int32()), f"{side}_id": ids})
        write_table(table, tmp_path / f"{side}_things.parquet")
    found = read_ids(tmp_path, "{side}_things.parquet")
    assert {side: ids.to_pylist() for side, ids in found.items()} == {
        "user": ["c", "a", "b"],
        "item": ["2", "1"],
    }
