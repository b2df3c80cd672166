"""From interactions to a stream."""

import itertools
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.core.errors import InvalidInputError
from components.core.recipe import PrepareStreamParams
from components.data.contracts.dataset.stream import validate
from components.data.document import read_document
from components.data.parquet import read_table, write_table
from components.prepare.stream import num_late, run

NUMBERS = itertools.count()
Row = tuple[str, str, int, int]  # user, item, label and timestamp


def params(**changes: Any) -> PrepareStreamParams:
    return PrepareStreamParams(**{"goes_on": True, "classes": ("no", "yes"), "seed": 1, **changes})


def interactions(root: Path, rows: list[Row]) -> Path:
    """As ingest writes them."""
    place = root / f"interactions-{next(NUMBERS)}"
    place.mkdir()
    user, item, label, time = (list(column) for column in zip(*rows, strict=True))
    columns = {
        "label": pa.array(label, pa.int32()),
        "item": item,
        "user": user,
        "timestamp": pa.array(time, pa.int64()),
    }
    write_table(pa.table(columns), place / "interactions.parquet")
    return place


def prepare(
    root: Path, rows: list[Row], champion: Path | None = None, *, examined: bool = True, **changes: Any
) -> Path:
    """A dataset, which keeps its contract where that is looked at."""
    output = root / f"dataset-{next(NUMBERS)}"
    output.mkdir()
    asked, inputs = params(**changes), {"interactions": interactions(root, rows)}
    if champion is not None:
        inputs["champion"] = champion
    metrics = run(asked, inputs, output, SimpleNamespace())
    document = read_document(output / "preparation.json")
    assert metrics == {
        **document["sizes"],
        "users": document["users"],
        "items": document["items"],
        "late": document["order"]["late"],
        "left_out": document["left_out"],
    }
    assert all(isinstance(value, float) for value in metrics.values())
    if examined:
        validate(output, asked, inputs, root / f"docs-{next(NUMBERS)}")
    return output


def refused(root: Path, rows: list[Row], champion: Path | None = None, **changes: Any) -> str:
    """What is told of interactions from which nothing can be prepared; nothing is written."""
    with pytest.raises(InvalidInputError) as error:
        prepare(root, rows, champion, **changes)
    *_, output = sorted(root.glob("dataset-*"), key=lambda place: int(place.name.partition("-")[2]))
    assert list(output.iterdir()) == []
    return str(error.value)


def table(dataset: Path, name: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in read_table(dataset / f"{name}.parquet").to_pylist()]


def parts(dataset: Path) -> list[tuple[Any, ...]]:
    """The stream: train and then the tail."""
    return [*table(dataset, "train"), *table(dataset, "test")]


# -- by hand ---------------------------------------------------------------------------------------------

BY_HAND: list[Row] = [
    ("z", "p", 0, 50),
    ("a", "q", 1, 10),
    ("m", "p", 0, 30),
    ("a", "p", 1, 30),
    ("z", "q", 1, 20),
    ("new", "q", 0, 60),
    ("m", "r", 1, 30),
    ("a", "s", 1, 60),
]


def test_a_stream_by_hand(tmp_path: Path) -> None:
    dataset = prepare(tmp_path, BY_HAND, test_tail=0.4)
    assert read_table(dataset / "train.parquet").column_names == ["row", "label", "user", "item", "timestamp"]
    assert table(dataset, "train") == [
        (1, 1, 0, 0, 10),
        (4, 1, 1, 0, 20),
        (2, 0, 2, 1, 30),
        (3, 1, 0, 1, 30),
        (6, 1, 2, 2, 30),
    ]
    assert table(dataset, "test") == [(0, 0, 1, 1, 50), (5, 0, 3, 0, 60), (7, 1, 0, 3, 60)]
    assert read_table(dataset / "users.parquet").column_names == [
        "user", "user_id", "num_interactions", "num_train",
    ]  # fmt: skip
    assert table(dataset, "users") == [(0, "a", 3, 2), (1, "z", 2, 1), (2, "m", 2, 2), (3, "new", 1, 0)]
    assert table(dataset, "items") == [(0, "q", 3, 2), (1, "p", 3, 2), (2, "r", 1, 1), (3, "s", 1, 0)]
    assert read_document(dataset / "preparation.json") == {
        "classes": ["no", "yes"],
        "thresholds": None,
        "tied": 0,
        "missing": [""],
        "sizes": {"train": 5, "test": 3},
        "class_counts": {"train": {"no": 1, "yes": 4}, "test": {"no": 2, "yes": 1}},
        "users": 4,
        "items": 4,
        "unknown": {"user": 1 / 3, "item": 1 / 3},
        "order": {"policy": "sort", "late": 5},
        "left_out": 0,
        "learned_until": None,
        "last_timestamp": 60,
    }


def test_interactions_of_one_timestamp_stay_as_they_were_read(tmp_path: Path) -> None:
    """A thousand of them, whatever their ids and labels are."""
    rows = [(f"u{random.Random(n).randint(0, 9)}", "i", n % 2, 7) for n in range(1000)]
    dataset = prepare(tmp_path, rows)
    assert [row[0] for row in parts(dataset)] == list(range(1000))


@pytest.mark.parametrize(
    ("num_rows", "share", "num_test"), [(10, 0.2, 2), (10, 0.24, 2), (10, 0.26, 3), (4, 0.8, 3), (3, 0.7, 2)]
)
def test_the_tail_is_the_share_of_the_last(
    num_rows: int, share: float, num_test: int, tmp_path: Path
) -> None:
    rows = [("u", "i", n % 2, num_rows - n) for n in range(num_rows)]
    dataset = prepare(tmp_path, rows, test_tail=share)
    assert [row[-1] for row in table(dataset, "test")] == list(range(num_rows - num_test + 1, num_rows + 1))


def test_a_user_and_an_item_that_only_the_tail_knows_are_unknown(tmp_path: Path) -> None:
    """What the tail itself shows of them earlier does not make them known."""
    rows = [("a", "x", n % 2, n) for n in range(6)]
    rows += [("b", "x", 0, 6), ("b", "y", 1, 7), ("a", "x", 0, 8), ("b", "x", 1, 9)]
    dataset = prepare(tmp_path, rows, test_tail=0.4)
    assert read_document(dataset / "preparation.json")["unknown"] == {"user": 3 / 4, "item": 1 / 4}
    assert table(dataset, "users") == [(0, "a", 7, 6), (1, "b", 3, 0)]
    assert table(dataset, "items") == [(0, "x", 9, 6), (1, "y", 1, 0)]


# -- against a slow version ------------------------------------------------------------------------------


def slow(rows: list[Row], test_tail: float, until: int | None = None) -> dict[str, Any]:
    """The same with dicts, one interaction after the other."""
    order = [
        n for n in sorted(range(len(rows)), key=lambda n: rows[n][3]) if until is None or rows[n][3] > until
    ]
    num_train = len(order) - round(len(order) * test_tail)
    ids: tuple[dict[str, int], dict[str, int]] = ({}, {})
    in_all: tuple[dict[int, int], dict[int, int]] = ({}, {})
    in_train: tuple[dict[int, int], dict[int, int]] = ({}, {})
    stream, unknown = [], [0, 0]
    for place, n in enumerate(order):
        dense = []
        for side in (0, 1):
            number = ids[side].setdefault(rows[n][side], len(ids[side]))
            in_all[side][number] = in_all[side].get(number, 0) + 1
            if place < num_train:
                in_train[side][number] = in_train[side].get(number, 0) + 1
            unknown[side] += place >= num_train and number not in in_train[side]
            dense.append(number)
        stream.append((n, rows[n][2], *dense, rows[n][3]))
    late, largest = 0, 0
    for row in rows:
        late += row[3] < largest
        largest = max(largest, row[3])
    return {
        "train": stream[:num_train],
        "test": stream[num_train:],
        **{
            name: [
                (number, raw, in_all[side][number], in_train[side].get(number, 0))
                for raw, number in ids[side].items()
            ]
            for side, name in enumerate(("users", "items"))
        },
        "unknown": [count / max(len(order) - num_train, 1) for count in unknown],
        "late": late,
        "left_out": len(rows) - len(order),
    }


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["", "a", "B", "é", "user 10", "9"]),
        st.text("xyz", max_size=2),
        st.integers(0, 1),
        st.integers(0, 12),
    ),
    min_size=4,
    max_size=40,
)


def by_dicts(root: Path, rows: list[Row], test_tail: float, until: int | None, *, examined: bool) -> None:
    """Prepare some interactions, where that is possible, and hold it against the slow version."""
    champion = None if until is None else learned(root, until)
    expected = slow(rows, test_tail, until)
    labels = [row[1] for row in expected["test"]]
    if not expected["train"] or set(labels) != {0, 1}:
        refused(root, rows, champion, test_tail=test_tail)
        return
    dataset = prepare(root, rows, champion, test_tail=test_tail, examined=examined)
    for name in ("train", "test", "users", "items"):
        assert table(dataset, name) == expected[name]
    document = read_document(dataset / "preparation.json")
    assert [document["unknown"][side] for side in ("user", "item")] == pytest.approx(expected["unknown"])
    assert (document["order"]["late"], document["left_out"]) == (expected["late"], expected["left_out"])


TAILS = st.sampled_from([0.2, 0.5, 0.75])


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, test_tail=TAILS, until=st.none() | st.integers(0, 12))
def test_every_stream_is_what_a_slow_version_makes_of_it(
    rows: list[Row], test_tail: float, until: int | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    by_dicts(tmp_path_factory.mktemp("prepare"), rows, test_tail, until, examined=False)


@settings(max_examples=8, deadline=None)
@given(rows=ROWS, test_tail=TAILS, until=st.none() | st.integers(0, 4))
def test_every_stream_keeps_its_contract(
    rows: list[Row], test_tail: float, until: int | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    by_dicts(tmp_path_factory.mktemp("prepare"), rows, test_tail, until, examined=True)


@settings(max_examples=50, deadline=None)
@given(times=st.lists(st.integers(0, 9), max_size=20))
def test_late_is_what_comes_after_a_larger_timestamp(times: list[int]) -> None:
    column = pa.array(times, pa.int64()).to_numpy()
    expected = sum(any(before > time for before in times[:place]) for place, time in enumerate(times))
    assert num_late(column) == expected


def test_the_same_interactions_give_the_same_bytes(tmp_path: Path) -> None:
    """Nothing is drawn: also with another seed."""
    rows = [(f"u{n % 7}", f"i{n % 5}", n % 2, n * 13 % 31) for n in range(200)]
    one, two = (prepare(tmp_path, rows, seed=seed) for seed in (1, 2))
    for path in one.iterdir():
        assert path.read_bytes() == (two / path.name).read_bytes()


# -- order -----------------------------------------------------------------------------------------------


def test_a_stream_that_must_have_come_in_order_is_refused_with_its_first_row_out_of_it(
    tmp_path: Path,
) -> None:
    assert refused(tmp_path, BY_HAND, order="require") == (
        "prepare.order: got 'require', but 3 of 8 interactions lie before the one ahead of them, first row 1 "
        "at 1970-01-01 00:00:10 UTC after 1970-01-01 00:00:50 UTC; put the source in order, or say "
        "`order: sort`"
    )


def test_a_stream_that_came_in_order_is_the_same_whether_it_had_to_or_not(tmp_path: Path) -> None:
    rows = sorted(BY_HAND, key=lambda row: row[3])
    required, sorted_ = (prepare(tmp_path, rows, order=order) for order in ("require", "sort"))
    for name in ("train", "test", "users", "items"):
        assert table(required, name) == table(sorted_, name)
    assert [read_document(place / "preparation.json")["order"] for place in (required, sorted_)] == [
        {"policy": "require", "late": 0},
        {"policy": "sort", "late": 0},
    ]


# -- after a champion ------------------------------------------------------------------------------------


def learned(root: Path, until: int) -> Path:
    """What there must be of the dataset of a champion that learned from everything up to a time."""
    place = root / f"champion-{next(NUMBERS)}"
    place.mkdir()
    (place / "preparation.json").write_text(f'{{"last_timestamp": {until}}}')
    return place


def test_what_the_champion_has_learned_from_is_left_out_and_told(tmp_path: Path) -> None:
    """Everything up to its last timestamp, that one included; ids begin anew."""
    dataset = prepare(tmp_path, BY_HAND, learned(tmp_path, 30), test_tail=0.7)
    assert parts(dataset) == [(0, 0, 0, 0, 50), (5, 0, 1, 1, 60), (7, 1, 2, 2, 60)]
    assert table(dataset, "users") == [(0, "z", 1, 1), (1, "new", 1, 0), (2, "a", 1, 0)]
    assert table(dataset, "items") == [(0, "p", 1, 1), (1, "q", 1, 0), (2, "s", 1, 0)]
    document = read_document(dataset / "preparation.json")
    assert (document["left_out"], document["learned_until"], document["last_timestamp"]) == (5, 30, 60)
    assert document["order"]["late"] == 5  # of the delivery, as it came


def test_the_next_delivery_goes_on_where_the_champions_dataset_ends(tmp_path: Path) -> None:
    first = prepare(tmp_path, BY_HAND)
    until = read_document(first / "preparation.json")["last_timestamp"]
    more: list[Row] = [("a", "p", n % 2, until + n // 2) for n in range(8)]
    second = prepare(tmp_path, BY_HAND + more, first, test_tail=0.5)
    assert [row[0] for row in parts(second)] == list(range(len(BY_HAND) + 2, len(BY_HAND) + 8))
    assert read_document(second / "preparation.json")["left_out"] == len(BY_HAND) + 2


def test_a_champion_that_has_seen_none_of_it_leaves_nothing_out(tmp_path: Path) -> None:
    without, with_ = prepare(tmp_path, BY_HAND), prepare(tmp_path, BY_HAND, learned(tmp_path, 9))
    assert parts(without) == parts(with_)
    document = read_document(with_ / "preparation.json")
    assert (document["left_out"], document["learned_until"]) == (0, 9)


# -- what cannot be prepared -----------------------------------------------------------------------------


def test_a_delivery_with_nothing_new_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, BY_HAND, learned(tmp_path, 60)) == (
        "interactions: the champion has learned from everything up to 1970-01-01 00:01:00 UTC, and the last "
        "of these 8 is of 1970-01-01 00:01:00 UTC; there is nothing new. To begin anew, say "
        "`training.warm_start: none`"
    )


def test_a_tail_without_a_class_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, [*BY_HAND[:6], ("a", "s", 0, 60)], test_tail=0.3) == (
        "test: the tail has no interaction of class 'yes'; metrics are not defined without one; need a "
        "larger `prepare.test_tail`, more data, or fewer `source.label.classes`"
    )
    told = refused(tmp_path, BY_HAND, classes=("no", "yes", "may be", "never"))
    assert "no interaction of class 'may be', class 'never'; metrics" in told


@pytest.mark.parametrize(
    ("num_rows", "share", "told"),
    [
        (1, 0.2, "got 0.2 of 1 interactions, which is 0; need at least one before the tail and one in it"),
        (1, 0.9, "got 0.9 of 1 interactions, which is 1; need at least one before the tail and one in it"),
        (2, 0.2, "got 0.2 of 2 interactions, which is 0; need"),
        (8, 0.95, "got 0.95 of 8 interactions, which is 8; need"),
    ],
)
def test_a_stream_that_would_be_all_tail_or_have_none_is_refused(
    num_rows: int, share: float, told: str, tmp_path: Path
) -> None:
    assert f"prepare.test_tail: {told}" in refused(tmp_path, BY_HAND[:num_rows], test_tail=share)


def test_what_is_new_may_be_too_little(tmp_path: Path) -> None:
    rows = [*BY_HAND, ("a", "p", 0, 70)]
    assert "got 0.2 of 1 interactions" in refused(tmp_path, rows, learned(tmp_path, 60))


def test_an_expectation_that_cannot_be_asked_is_refused(tmp_path: Path) -> None:
    unknown = {
        "expect": "expect_column_values_to_not_be_null",
        "table": "users",
        "arguments": {"column": "age"},
    }
    told = "column: got 'age', need one of the columns user, user_id, num_interactions, num_train"
    assert told in refused(tmp_path, BY_HAND, expectations=[unknown])
