# ruff: noqa: E501  (a table reads best with one case a line)
"""The contract of a stream's dataset: it passes a good artifact, and stops a broken one by the name of what is
wrong."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from components.core.errors import GateFailedError
from components.core.gates import gates_of
from components.core.recipe import (
    PrepareStreamParams,
)
from components.core.recipe.quality import Expectation
from components.core.stage import Validation
from components.data.contracts.dataset import stream as of_datasets
from components.data.parquet import write_table

from . import artifacts as a
from .streams import CASE, ITEMS, NUMBERS, TEST, TRAIN, USERS, dataset, described, ids_of, nothing, stopped

PARAMS = PrepareStreamParams(goes_on=True, classes=("no", "yes"), test_tail=0.33, seed=1)


def prepared(root: Path, *changes: a.Break, delivered: int | None = None, **params: Any) -> Validation:
    """What the contract finds in the good dataset after some changes.

    Args:
        delivered: how many interactions there were.
    """
    output = root / f"dataset-{next(NUMBERS)}"
    output.mkdir()
    dataset(output)
    for change in changes:
        change(output)
    inputs = {}
    if delivered is not None:
        inputs["interactions"] = root
        write_table(pa.table({"label": [0] * delivered}), root / "interactions.parquet")
    return of_datasets.validate(output, PARAMS.model_copy(update=params), inputs, root / "docs")


def gone_on(left_out: int, until: int) -> a.Break:
    """A preparation that has left something out."""

    def change(root: Path) -> None:
        a.document("preparation.json", "left_out", value=left_out)(root)
        a.document("preparation.json", "learned_until", value=until)(root)

    return change


def counted(*path: str, value: Any) -> a.Break:
    return a.document("preparation.json", *path, value=value)


def test_a_good_dataset_passes_and_its_tables_are_described(tmp_path: Path) -> None:
    found = prepared(tmp_path, delivered=6)
    assert described(found, *tmp_path.glob("dataset-*"))
    assert found.summary["success"] is True
    assert found.columns["train.parquet"]["row"] == "int64"
    assert (tmp_path / "docs" / "gates.parquet").is_file()
    assert (tmp_path / "docs" / "data_docs" / "index.html").is_file()


DATASETS: list[CASE] = [
    {
        "train.parquet: label: expect_column_values_to_be_between(min_value=0.0, max_value=1.0): 1 of 4 values, such as 2": a.column(TRAIN, "label", [1, 1, 0, 2]),
        "train.parquet: user: expect_column_values_to_be_between(min_value=0.0, max_value=3.0): 1 of 4 values, such as -1": a.column(TRAIN, "user", [0, 1, 1, -1]),
        "train.parquet: timestamp: expect_column_values_to_not_be_null(): 1 of 4 values": a.column(TRAIN, "timestamp", [10, 20, 30, None]),
        "test.parquet: item: expect_column_values_to_be_between(min_value=0.0, max_value=2.0): 1 of 2 values, such as 3": a.column(TEST, "item", [3, 0]),
        "test.parquet: row: expect_column_values_to_be_between(min_value=0.0, max_value=5.0): 1 of 2 values, such as 6": a.column(TEST, "row", [4, 6]),
        "test.parquet: label: expect_column_values_to_not_be_null(): 1 of 2 values": a.column(TEST, "label", [0, None]),
        "users.parquet: user_id: expect_column_values_to_be_unique(): 2 of 4 values, such as 'a'": a.column(USERS, "user_id", ["a", "b", "a", "d"]),
        "users.parquet: num_train: expect_column_values_to_be_between(min_value=0.0): 1 of 4 values, such as -1": a.column(USERS, "num_train", [1, 2, 1, -1]),
        "items.parquet: num_interactions: expect_column_values_to_be_between(min_value=1.0): 1 of 3 values, such as 0": a.column(ITEMS, "num_interactions", [3, 2, 0]),
        "items.parquet: item_id: expect_column_values_to_not_be_null(): 1 of 3 values": a.column(ITEMS, "item_id", ["x", None, "z"]),
    },
    {"test.parquet: row: expect_column_values_to_be_between(min_value=0.0, max_value=5.0): 1 of 2 values, such as -1": a.column(TEST, "row", [-1, 5])},
    {"test.parquet: rows: expect_table_row_count_to_be_between(min_value=1): found 0": a.rows(TEST, [])},
    {"train.parquet: rows: expect_table_row_count_to_be_between(min_value=1): found 0": a.rows(TRAIN, [])},
    {"users.parquet: rows: expect_table_row_count_to_be_between(min_value=1): found 0": a.rows(USERS, [])},
    {"train.parquet schema: row, label, user, item, timestamp: expect_table_columns_to_match_ordered_list": a.without(TRAIN, "timestamp")},
    {"test.parquet schema: timestamp: expect_column_values_to_be_in_set(value_set=['int64']): 1 of 1 values, such as 'int32'": a.column(TEST, "timestamp", [30, 40], pa.int32())},
    {"items.parquet schema: item_id: expect_column_values_to_be_in_set(value_set=['string']): 1 of 1 values, such as 'int64'": a.column(ITEMS, "item_id", [1, 2, 3], pa.int64())},
    {"preparation.json: cannot be read: KeyError: 'unknown.item'": a.document("preparation.json", "unknown", value={"user": 0.5})},
    {"preparation.json: cannot be read: KeyError: 'class_counts.train'": a.content("preparation.json", b'{"classes": [], "sizes": {"train": 1, "test": 1}}')},
    {"train.parquet: cannot be read": a.content(TRAIN, b"PAR1")},
    {
        "stream facts: rows out of order": a.column(TRAIN, "timestamp", [10, 30, 20, 30]),
    },
    {"stream facts: rows out of order": a.column(TRAIN, "row", [1, 3, 2, 0])},
    {"stream facts: rows out of order": a.column(TEST, "timestamp", [40, 30]), "stream facts: last timestamp": nothing},
    {"stream facts: rows out of order": lambda root: (a.column(TRAIN, "row", [1, 3, 0, 4])(root), a.column(TEST, "row", [2, 5])(root))[0]},
    {
        "stream facts: train rows: expect_column_values_to_be_between(min_value=5.0, max_value=5.0)": counted("sizes", "train", value=5),
        "stream facts: last timestamp: expect_column_values_to_be_between(min_value=40.0, max_value=40.0): 1 of 1 values, such as 41": counted("last_timestamp", value=41),
        "stream facts: rows left out: expect_column_values_to_be_between(min_value=0.0, max_value=0.0): 1 of 1 values, such as 1": counted("left_out", value=1),
    },
    {"stream facts: test rows by the share": counted("sizes", value={"train": 1, "test": 5}), "stream facts: test rows: expect": nothing},
    {"stream facts: first timestamp: expect_column_values_to_be_between(min_value=11.0): 1 of 1 values, such as 10": gone_on(0, 10)},
    {
        "users.parquet facts: holes in the dense ids": a.column(USERS, "user", [0, 1, 3, 2]),
        "users.parquet facts: wrong num_interactions: expect_column_values_to_be_between(min_value=0.0, max_value=0.0): 1 of 1 values, such as 2": a.column(USERS, "num_interactions", [1, 3, 1, 1]),
        "items.parquet facts: wrong num_train: expect_column_values_to_be_between(min_value=0.0, max_value=0.0): 1 of 1 values, such as 1": a.column(ITEMS, "num_train", [2, 2, 1]),
    },
    {
        "users.parquet facts: ids out of the order of appearance: expect_column_values_to_be_between(min_value=0.0, max_value=0.0): 1 of 1 values, such as 1": a.column(TRAIN, "user", [1, 0, 0, 2]),
        "users.parquet facts: wrong num_interactions": nothing,
        "items.parquet facts: ids out of the order of appearance": a.column(TRAIN, "item", [1, 1, 0, 0]),
    },
    {"users.parquet facts: ids that never appear: expect_column_values_to_be_between(min_value=0.0, max_value=0.0): 1 of 1 values, such as 1": a.column(TEST, "user", [0, 2])},
    {
        "classes facts: not the recipe's": counted("classes", value=["yes", "no"]),
        "classes facts: train: wrong counts: expect_column_values_to_be_between(min_value=0.0, max_value=0.0): 1 of 1 values, such as 2": counted("class_counts", "train", value={"no": 3, "yes": 1}),
        "classes facts: test: wrong counts: expect_column_values_to_be_between(min_value=0.0, max_value=0.0): 1 of 1 values, such as 1": counted("class_counts", "test", value={"no": 1}),
    },
    {"classes facts: test: wrong counts: expect_column_values_to_be_between(min_value=0.0, max_value=0.0): 1 of 1 values, such as 2": counted("class_counts", "test", value={})},
    {"classes facts: test: interactions of the rarest: expect_column_values_to_be_between(min_value=1.0): 1 of 1 values, such as 0": a.column(TEST, "label", [1, 1]), "classes facts: test: wrong counts": nothing},
    {"leaks: leaked_rows: 1 interactions stand in both of train and test; need 0": a.column(TEST, "row", [3, 5])},
    {"leaks: leaked_rows: 1 interactions stand in both of train and test; need 0": a.column(TRAIN, "row", [1, 3, 3, 2])},
    {"leaks: future_in_train: 1 interactions in train are later than the first in test; need 0": a.column(TRAIN, "timestamp", [10, 20, 30, 31])},
]  # fmt: skip


@pytest.mark.parametrize("changes", DATASETS, ids=ids_of(DATASETS))
def test_a_broken_dataset_is_stopped_by_what_is_wrong(changes: CASE, tmp_path: Path) -> None:
    stopped(lambda: prepared(tmp_path, *changes.values()), changes, tmp_path / "docs")


@pytest.mark.parametrize(
    ("delivered", "changes"),
    [(5, []), (7, []), (6, [gone_on(1, 9)]), (7, [gone_on(2, 9)])],
)
def test_every_interaction_stands_in_the_stream_or_was_left_out(
    delivered: int, changes: list[a.Break], tmp_path: Path
) -> None:
    with pytest.raises(GateFailedError, match="stream facts: rows of the stream and left out"):
        prepared(tmp_path, *changes, delivered=delivered)


def test_a_stream_that_had_to_come_in_order_has_no_late_interactions(tmp_path: Path) -> None:
    with pytest.raises(GateFailedError, match="stream facts: late rows"):
        prepared(tmp_path, order="require")
    in_order = counted("order", value={"policy": "require", "late": 0})
    assert prepared(tmp_path, in_order, order="require").summary["success"]


def test_what_was_left_out_and_what_is_unknown_are_gates(tmp_path: Path) -> None:
    """What the champion has learned is told without ever speaking; of what is unknown the larger share."""
    unknown = counted("unknown", value={"user": 0.25, "item": 0.5})
    vocabulary = {"unknown": {"max": 0.4}}
    params = PARAMS.model_validate({**dict(PARAMS), "vocabulary": vocabulary})
    found = prepared(tmp_path, gone_on(94, 9), unknown, delivered=100, vocabulary=params.vocabulary)
    gates = {gate.name: gate for gate in gates_of(found.summary)}
    assert [(gate.name, gate.value, gate.outcome) for gate in gates.values()] == [
        ("leaked_rows", 0, "passed"),
        ("future_in_train", 0, "passed"),
        ("left_out", 94, "passed"),
        ("unknown", 0.5, "warned"),
    ]
    assert gates["left_out"].subject == "against the champion's dataset"
    assert gates["left_out"].told.startswith("94 interactions are not after the last one")
    assert "50.0% of the test examples have a value of 'item'" in gates["unknown"].told


def test_own_expectations_look_at_every_table_of_a_dataset(tmp_path: Path) -> None:
    tables = {"train": "row", "test": "timestamp", "users": "user_id", "items": "item_id"}
    asked = [
        {"expect": "expect_column_values_to_be_unique", "table": table, "arguments": {"column": column}, "severity": "warn"}
        for table, column in tables.items()
    ]  # fmt: skip
    found = prepared(tmp_path, expectations=tuple(map(Expectation.model_validate, asked)))
    own = {gate.subject: gate.outcome for gate in gates_of(found.summary) if gate.name.startswith("expect_")}
    assert own == {f"{table}: {column}": "passed" for table, column in tables.items()}
