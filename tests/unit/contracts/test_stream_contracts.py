# ruff: noqa: E501  (a table reads best with one case a line)
"""The contracts of a stream's dataset, policy, model and evaluation: they pass a good artifact, and stop a broken one
by the name of what is wrong."""

import itertools
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import save_file

from components.catalog import EVALUATE, INGEST, PREPARE, RETRAIN, SEARCH
from components.core.errors import GateFailedError
from components.core.gates import gates_of
from components.core.recipe import (
    PrepareStreamParams,
    RetrainStreamParams,
    SearchForStreamParams,
    StreamTraining,
)
from components.core.recipe.quality import Expectation
from components.core.recipe.reading import build_recipe
from components.core.recipe.search import NoSearch
from components.core.recipe.stream import AutoEmb, Darts, Esapn, FixedSize
from components.core.stage import Validation, execute
from components.data.contracts import policy as of_policies
from components.data.contracts.dataset import stream as of_datasets
from components.data.contracts.evaluation import stream as of_evaluations
from components.data.contracts.model import stream as of_models
from components.data.document import write_document
from components.data.parquet import fingerprint, read_table, write_table

from . import artifacts as a

NUMBERS = itertools.count()
NAN, INF = float("nan"), float("inf")
FLOATS = pa.list_(pa.field("element", pa.float32()))
INTS = pa.list_(pa.field("element", pa.int32()))
CASE = dict[str, a.Break]  # what the message must say, with the change that makes it so


def nothing(root: Path) -> None:
    """What another change of the same case has brought about."""


def stopped(examined: Any, told: Mapping[str, a.Break], docs: Path) -> None:
    """Whether every broken thing is named."""
    with pytest.raises(GateFailedError) as error:
        examined()
    assert [text for text in told if text not in str(error.value)] == []
    assert (docs / "data_docs" / "index.html").is_file()


def ids_of(cases: list[CASE]) -> list[str]:
    return [next(iter(case))[:70] for case in cases]


def described(found: Validation, output: Path) -> bool:
    """Whether every table of the artifact is among what a contract has looked at, as it is."""
    tables = {path.name: read_table(path) for path in output.glob("*.parquet")}
    return found.tables == {
        name: (table.num_rows, fingerprint(table.schema)) for name, table in tables.items()
    }


# -- the dataset -----------------------------------------------------------------------------------------

PARAMS = PrepareStreamParams(goes_on=True, classes=("no", "yes"), test_tail=0.33, seed=1)
STREAM = {
    "train": {"row": [1, 3, 0, 2], "label": [1, 1, 0, 0], "user": [0, 1, 1, 2], "item": [0, 0, 1, 1], "timestamp": [10, 20, 30, 30]},
    "test": {"row": [4, 5], "label": [0, 1], "user": [0, 3], "item": [2, 0], "timestamp": [30, 40]},
}  # fmt: skip
IDS = {
    "user": (["a", "b", "c", "d"], [2, 2, 1, 1], [1, 2, 1, 0]),
    "item": (["x", "y", "z"], [3, 2, 1], [2, 2, 0]),
}


def dataset(root: Path) -> None:
    """Six interactions; one that was delivered before the others comes after them in time."""
    for part, columns in STREAM.items():
        types = {"row": pa.int64(), "timestamp": pa.int64()}
        arrays = {name: pa.array(values, types.get(name, pa.int32())) for name, values in columns.items()}
        write_table(pa.table(arrays), root / f"{part}.parquet")
    for side, (raw, total, train) in IDS.items():
        table = {
            side: pa.array(range(len(raw)), pa.int32()),
            f"{side}_id": raw,
            "num_interactions": pa.array(total, pa.int32()),
            "num_train": pa.array(train, pa.int32()),
        }
        write_table(pa.table(table), root / f"{side}s.parquet")
    document = {
        "classes": ["no", "yes"],
        "thresholds": None,
        "tied": 0,
        "sizes": {"train": 4, "test": 2},
        "class_counts": {"train": {"no": 2, "yes": 2}, "test": {"no": 1, "yes": 1}},
        "unknown": {"user": 0.5, "item": 0.5},
        "order": {"policy": "sort", "late": 3},
        "left_out": 0,
        "learned_until": None,
        "last_timestamp": 40,
    }
    write_document(document, root / "preparation.json")


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


TRAIN, TEST, USERS, ITEMS = (f"{name}.parquet" for name in ("train", "test", "users", "items"))
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


# -- sizes, of a policy and of a model ---------------------------------------------------------------------

ESAPN = Esapn(sizes=(2, 4))
DARTS = Darts(sizes=(2, 4))
AUTOEMB = AutoEmb(sizes=(2, 4))
FIXED = FixedSize(size=3)
Sizing = Esapn | Darts | AutoEmb | FixedSize
RAW = {"user": ["a", "b", "c"], "item": ["x", "y"]}


def sizes_of(config: Sizing, side: str) -> tuple[list[int], dict[str, int]]:
    """The sizes of one side's ids, and what is told of them."""
    count = len(RAW[side])
    if isinstance(config, FixedSize):
        return [3] * count, {"3": count}
    if isinstance(config, Esapn):
        return [2, 4, 2][:count], {"2": count - 1, "4": 1}
    return [6] * count, {"2": count, "4": count}


def size_table(config: Sizing, side: str) -> dict[str, Any]:
    count = len(RAW[side])
    return {
        side: pa.array(range(count), pa.int32()),
        f"{side}_id": RAW[side],
        "seen": pa.array(range(1, count + 1), pa.int32()),
        "size": pa.array(sizes_of(config, side)[0], pa.int32()),
    }


def course(root: Path, name: str) -> None:
    """Two stretches of a stream."""
    table = {
        "interactions": pa.array([500, 800], pa.int64()),
        "accuracy": [0.5, 0.6],
        "mse": [0.25, 0.2],
        **{f"{what}_{side}": [2.0, 3.0] for side in RAW for what in ("mean_size", "bytes")},
    }
    write_table(pa.table(table), root / name)


def weights(file: str, value: float = 1.0) -> a.Break:
    def change(root: Path) -> None:
        save_file({"weight": np.array([1, value], np.float32)}, root / file)

    return change


# -- the policy --------------------------------------------------------------------------------------------


def policy(root: Path, config: Sizing = ESAPN) -> None:
    document = {
        "kind": config.kind,
        "patch": {"embedding": config.model_dump(mode="json")},
        "decision": {
            "sizes": {side: sizes_of(config, side)[1] for side in RAW},
            "began": {"from": "none", "champion_sha256": None},
            "interactions": 800,
        },
        "best_epoch": 1,
        "epochs": 1,
    }
    write_document(document, root / "policy.json")
    course(root, "trajectory.parquet")
    for side in RAW:
        write_table(pa.table(size_table(config, side)), root / f"{side}s.parquet")
    weights("weights.safetensors")(root)
    if config.kind != "darts":
        weights("controller.safetensors")(root)


def searched(root: Path, *changes: a.Break, search: Any = ESAPN, made: Sizing = ESAPN) -> Validation:
    """What the contract finds in a good policy after some changes.

    Args:
        search: what the recipe says.
        made: what the policy is of.
    """
    output = root / f"policy-{next(NUMBERS)}"
    output.mkdir()
    policy(output, made)
    for change in changes:
        change(output)
    params = SearchForStreamParams(
        search=search, training=StreamTraining(), seed=1, model="m", tracking_uri="sqlite:///x"
    )
    return of_policies.validate(output, params, {}, root / "docs")


@pytest.mark.parametrize("config", [ESAPN, DARTS, AUTOEMB], ids=lambda config: config.kind)
def test_a_good_policy_of_sizes_passes_and_its_tables_are_described(config: Sizing, tmp_path: Path) -> None:
    found = searched(tmp_path, search=config, made=config)
    assert found.summary["success"] is True
    assert set(found.tables) == {"trajectory.parquet", "users.parquet", "items.parquet"}
    assert described(found, *tmp_path.glob("policy-*"))


def decided(*path: str, value: Any) -> a.Break:
    return a.document("policy.json", *path, value=value)


COURSE = "trajectory.parquet"
POLICIES: list[CASE] = [
    {
        "users.parquet: user_id: expect_column_values_to_be_unique(): 2 of 3 values, such as 'a'": a.column(USERS, "user_id", ["a", "b", "a"]),
        "users.parquet: seen: expect_column_values_to_be_between(min_value=1.0): 1 of 3 values, such as 0": a.column(USERS, "seen", [1, 0, 3]),
        "users.parquet: size: expect_column_values_to_be_in_set(value_set=[2, 4]): 1 of 3 values, such as 3": a.column(USERS, "size", [2, 4, 3]),
    },
    {
        "items.parquet: item_id: expect_column_values_to_not_be_null(): 1 of 2 values": a.column(ITEMS, "item_id", ["x", None]),
        "items.parquet: seen: expect_column_values_to_not_be_null(): 1 of 2 values": a.column(ITEMS, "seen", [1, None]),
        "items.parquet: size: expect_column_values_to_not_be_null(): 1 of 2 values": a.column(ITEMS, "size", [2, None]),
    },
    {
        "policy.json facts: users: holes in the dense ids": a.column(USERS, "user", [0, 2, 1]),
        "policy.json facts: items: ids of each size are as many as is told": a.column(ITEMS, "size", [2, 2]),
    },
    {"policy.json facts: users: ids of each size are as many as is told": decided("decision", "sizes", "user", value={"2": 1, "4": 2})},
    {"policy.json facts: users: ids of each size are as many as is told": decided("decision", "sizes", value={"item": {"2": 1, "4": 1}})},
    {"policy.json facts: items: ids of each size are as many as is told": decided("decision", value={})},
    {"users.parquet: rows: expect_table_row_count_to_be_between(min_value=1): found 0": a.rows(USERS, [])},
    {"users.parquet: cannot be read": a.content(USERS, None)},
    {"items.parquet schema: size: expect_column_values_to_be_in_set(value_set=['int32']): 1 of 1 values, such as 'int64'": a.column(ITEMS, "size", [2, 4], pa.int64())},
    {"items.parquet schema: item, item_id, seen, size: expect_table_columns_to_match_ordered_list": a.without(ITEMS, "seen")},
    {"policy.json facts: patch is the recipe's search": decided("patch", "embedding", value=Esapn(sizes=(2, 8)).model_dump(mode="json"))},
    {"policy.json facts: patch is the recipe's search": decided("patch", "batch_size", value=7)},
    {
        "policy.json facts: patch is the recipe's search": decided("patch", value={"embedding": {"kind": "esapn", "sizes": [4, 2]}}),
        "policy.json facts: fits the training section": nothing,
    },
    {"policy.json facts: fits the training section": decided("patch", "loss", value={}), "policy.json facts: patch is the recipe's search": nothing},
    {"policy.json facts: is of the recipe's kind": decided("kind", value="darts")},
    {"policy.json facts: epochs: expect_column_values_to_be_between(min_value=1.0, max_value=1.0): 1 of 1 values, such as 2": decided("epochs", value=2)},
    {"policy.json facts: best_epoch": decided("best_epoch", value=0)},
    {
        "weights.safetensors facts: is there": a.content("weights.safetensors", None),
        "controller.safetensors facts: is there": a.content("controller.safetensors", None),
    },
    {
        "weights.safetensors facts: weights not finite": weights("weights.safetensors", NAN),
        "controller.safetensors facts: weights not finite": weights("controller.safetensors", INF),
    },
    {"weights.safetensors facts: readable": a.content("weights.safetensors", b"x")},
    {
        "trajectory.parquet facts: interactions out of order": a.column(COURSE, "interactions", [800, 800]),
        "trajectory.parquet: accuracy: expect_column_values_to_be_between(min_value=0.0, max_value=1.0): 1 of 2 values, such as 1.5": a.column(COURSE, "accuracy", [0.5, 1.5]),
        "trajectory.parquet: mse: expect_column_values_to_be_between(min_value=0.0, max_value=1.0): 1 of 2 values, such as -0.5": a.column(COURSE, "mse", [0.5, -0.5]),
    },
    {"trajectory.parquet schema: interactions: expect_column_values_to_be_in_set(value_set=['int64']): 1 of 1 values, such as 'int32'": a.column(COURSE, "interactions", [500, 800], pa.int32())},
    {"policy.json: cannot be read": a.content("policy.json", b"{}")},
]  # fmt: skip


@pytest.mark.parametrize("changes", POLICIES, ids=ids_of(POLICIES))
def test_a_broken_policy_of_sizes_is_stopped_by_what_is_wrong(changes: CASE, tmp_path: Path) -> None:
    stopped(lambda: searched(tmp_path, *changes.values()), changes, tmp_path / "docs")


@pytest.mark.parametrize("changes", [
    {"users.parquet: size: expect_column_values_to_be_in_set(value_set=[6]): 1 of 3 values, such as 4": a.column(USERS, "size", [6, 6, 4])},
    {"policy.json facts: items: ids of each size are as many as is told": decided("decision", "sizes", "item", value={"6": 2})},
], ids=["the table", "what is told"])  # fmt: skip
def test_embeddings_of_all_sizes_are_as_large_as_all_of_them_together(changes: CASE, tmp_path: Path) -> None:
    stopped(
        lambda: searched(tmp_path, *changes.values(), search=DARTS, made=DARTS), changes, tmp_path / "docs"
    )


def test_free_weights_have_no_controller(tmp_path: Path) -> None:
    change = weights("controller.safetensors")
    with pytest.raises(GateFailedError, match=r"controller\.safetensors facts: is there"):
        searched(tmp_path, change, search=DARTS, made=DARTS)


def test_without_a_search_nothing_is_decided(tmp_path: Path) -> None:
    def empty(root: Path) -> None:
        for path in root.iterdir():
            path.unlink()
        document = {"kind": "none", "patch": {}, "decision": {}, "best_epoch": 0, "epochs": 0}
        write_document(document, root / "policy.json")
        write_table(pa.table({"epoch": pa.array([], pa.int32())}), root / COURSE)

    assert searched(tmp_path, empty, search=NoSearch()).summary["success"]
    with pytest.raises(GateFailedError, match=r"weights\.safetensors facts: is there"):
        searched(tmp_path, empty, weights("weights.safetensors"), search=NoSearch())


# -- the model ---------------------------------------------------------------------------------------------


def model(root: Path, config: Sizing = ESAPN) -> None:
    """What was said of the tail in `STREAM`, and a network of the right shapes."""
    for side in RAW:
        table = size_table(config, side)
        lengths = [4 if config.kind in {"darts", "autoemb"} else size for size in table["size"].to_pylist()]
        vectors = pa.array([[0.5] * length for length in lengths], pa.large_list(FLOATS.value_field))
        write_table(pa.table({**table, "embedding": vectors}), root / f"{side}_embeddings.parquet")
    predictions = {
        "row": pa.array([4, 5], pa.int64()),
        "probability": pa.array([[0.25, 0.75], [1.0, 0.0]], pa.list_(pa.field("element", pa.float64()), 2)),
        "user_seen": pa.array([2, 0], pa.int32()),
        "user_size": pa.array([4, 0], pa.int32()),
        "item_seen": pa.array([0, 3], pa.int32()),
        "item_size": pa.array([0, 2], pa.int32()),
    }
    write_table(pa.table(predictions), root / "predictions.parquet")
    course(root, "history.parquet")
    tensors = {
        "user.unknown": (4,),
        "user.2.weight": (4, 2),
        "user.2.bias": (4,),
        "item.unknown": (4,),
        "hidden.weight": (5, 8),
        "hidden.bias": (5,),
        "output.weight": (1, 5),
        "output.bias": (1,),
    }
    network = {
        "tensor": list(tensors),
        "shape": pa.array([list(shape) for shape in tensors.values()], INTS),
        "values": pa.array([[0.25] * int(np.prod(shape)) for shape in tensors.values()], FLOATS),
    }
    write_table(pa.table(network), root / "network.parquet")
    training = StreamTraining(embedding=config) if isinstance(config, FixedSize) else StreamTraining()
    document = {
        "training": {**training.model_dump(mode="json"), "embedding": config.model_dump(mode="json")},
        "began": {"from": "search", "champion_sha256": None},
        "classes": ["no", "yes"],
        "thresholds": None,
        "state_version": 1,
        "interactions": 2,
        "last_timestamp": 40,
        "sides": {
            side: {
                "ids": len(RAW[side]),
                "counts": sizes_of(config, side)[1],
                "bytes": {size: 4 * int(size) * count for size, count in sizes_of(config, side)[1].items()},
            }
            for side in RAW
        },
    }
    write_document(document, root / "training.json")
    write_document({"classes": ["no", "yes"], "missing": [""]}, root / "classes.json")
    weights("weights.safetensors")(root)


def trained(root: Path, *changes: a.Break, made: Sizing = ESAPN) -> Validation:
    """What the contract finds in a good model of the good dataset after some changes."""
    number = next(NUMBERS)
    output, data = root / f"model-{number}", root / f"dataset-{number}"
    for place, make in ((output, lambda root: model(root, made)), (data, dataset)):
        place.mkdir()
        make(place)
    for change in changes:
        change(output)
    params = RetrainStreamParams(training=StreamTraining(), seed=1, model="m", tracking_uri="sqlite:///x")
    return of_models.validate(output, params, {"dataset": data}, root / "docs")


@pytest.mark.parametrize("config", [FIXED, ESAPN, DARTS, AUTOEMB], ids=lambda config: config.kind)
def test_a_good_model_passes_and_its_tables_are_described(config: Sizing, tmp_path: Path) -> None:
    found = trained(tmp_path, made=config)
    assert found.summary["success"] is True
    assert len(found.tables) == 5
    assert described(found, *tmp_path.glob("model-*"))


def told(*path: str, value: Any) -> a.Break:
    return a.document("training.json", *path, value=value)


def said(*probabilities: list[float]) -> a.Break:
    return a.column("predictions.parquet", "probability", list(probabilities))


def embedded(side: str, *vectors: list[float]) -> a.Break:
    return a.column(f"{side}_embeddings.parquet", "embedding", list(vectors))


SAID, NETWORK, EMBEDDED = "predictions.parquet", "network.parquet", "user_embeddings.parquet"
SHAPES = [[4], [4, 2], [4], [4], [5, 8], [5], [1, 5], [1]]
MODELS: list[CASE] = [
    {
        "predictions.parquet: row: expect_column_values_to_be_unique(): 2 of 2 values, such as 4": a.column(SAID, "row", [4, 4]),
        "predictions.parquet: user_seen: expect_column_values_to_be_between(min_value=0.0): 1 of 2 values, such as -1": a.column(SAID, "user_seen", [-1, 0]),
        "predictions.parquet: user_size: expect_column_values_to_not_be_null(): 1 of 2 values": a.column(SAID, "user_size", [4, None]),
        "predictions.parquet: item_seen: expect_column_values_to_not_be_null(): 1 of 2 values": a.column(SAID, "item_seen", [0, None]),
        "predictions.parquet: item_size: expect_column_values_to_be_between(min_value=0.0): 1 of 2 values, such as -2": a.column(SAID, "item_size", [0, -2]),
    },
    {"predictions.parquet: row: expect_column_values_to_not_be_null(): 1 of 2 values": a.column(SAID, "row", [4, None])},
    {"predictions.parquet: rows: expect_table_row_count_to_be_between(min_value=1): found 0": a.rows(SAID, [])},
    {"predictions.parquet facts: are of the tail": a.rows(SAID, [0])},
    {"predictions.parquet facts: are of the tail": a.column(SAID, "row", [4, 6])},
    {"predictions.parquet facts: are of the tail": a.column(SAID, "row", [3, 4])},
    {"predictions.parquet facts: rows out of order": a.rows(SAID, [1, 0]), "predictions.parquet facts: are of the tail": nothing},
    {"predictions.parquet facts: rows without probabilities: expect_column_values_to_be_between(min_value=0.0, max_value=0.0): 1 of 1 values, such as 2": said([0.5, 0.6], [1.5, -0.5])},
    {"predictions.parquet facts: rows without probabilities": said([NAN, 0.5], [0.5, 0.5])},
    {"predictions.parquet schema: probability": told("classes", value=["no", "yes", "maybe"])},
    {"predictions.parquet schema: row, probability, user_seen, user_size, item_seen, item_size: expect_table_columns_to_match_ordered_list": a.without(SAID, "item_seen")},
    {
        "user_embeddings.parquet facts: embeddings of another length: expect_column_values_to_be_between(min_value=0.0, max_value=0.0): 1 of 1 values, such as 2": embedded("user", [1, 1], [1, 1], [1, 1, 1]),
    },
    {
        "item_embeddings.parquet facts: numbers that are not finite: expect_column_values_to_be_between(min_value=0.0, max_value=0.0): 1 of 1 values, such as 2": embedded("item", [NAN, 1], [1, 1, 1, INF]),
    },
    {
        "user_embeddings.parquet: size: expect_column_values_to_be_in_set(value_set=[2, 4]): 1 of 3 values, such as 3": a.column(EMBEDDED, "size", [2, 4, 3]),
        "user_embeddings.parquet facts: embeddings of another length": nothing,
        "user_embeddings.parquet sizes facts: users: ids of each size are as many as is told": nothing,
    },
    {
        "item_embeddings.parquet sizes facts: items: holes in the dense ids": a.column("item_embeddings.parquet", "item", [1, 0]),
    },
    {
        "user_embeddings.parquet sizes facts: users: ids of each size are as many as is told": told("sides", "user", "counts", value={"2": 1, "4": 2}),
    },
    {
        "item_embeddings.parquet sizes facts: items: ids are as many as is told": told("sides", "item", "ids", value=3),
    },
    {
        "user_embeddings.parquet: user_id: expect_column_values_to_be_unique(): 2 of 3 values, such as 'b'": a.column(EMBEDDED, "user_id", ["a", "b", "b"]),
        "user_embeddings.parquet: seen: expect_column_values_to_be_between(min_value=1.0): 1 of 3 values, such as 0": a.column(EMBEDDED, "seen", [1, 2, 0]),
    },
    {"user_embeddings.parquet: rows: expect_table_row_count_to_be_between(min_value=1): found 0": a.rows(EMBEDDED, [])},
    {"user_embeddings.parquet schema: embedding: expect_column_values_to_be_in_set(value_set=['large_list<element: float>']): 1 of 1 values, such as 'list<element: double>'": a.column(EMBEDDED, "embedding", [[1.0]] * 3, pa.list_(pa.field("element", pa.float64())))},
    {"user_embeddings.parquet: cannot be read": a.content(EMBEDDED, None)},
    {"network.parquet facts: tensors of another shape: expect_column_values_to_be_between(min_value=0.0, max_value=0.0): 1 of 1 values, such as 2": a.column(NETWORK, "shape", [[5], [2, 4], *SHAPES[2:7], [2]])},
    {"network.parquet facts: tensors of another shape": a.column(NETWORK, "values", [[1.0]] * 8)},
    {"network.parquet facts: numbers that are not finite: expect_column_values_to_be_between(min_value=0.0, max_value=0.0): 1 of 1 values, such as 1": a.column(NETWORK, "values", [[1, 2, 3, NAN], *([1.0] * int(np.prod(shape)) for shape in SHAPES[1:])])},
    {"network.parquet facts: tensors that are missing: expect_column_values_to_be_between(min_value=0.0, max_value=0.0): 1 of 1 values, such as 1": a.rows(NETWORK, [0, 1, 2, 4, 5, 6, 7])},
    {"network.parquet facts: tensors that are missing: expect_column_values_to_be_between(min_value=0.0, max_value=0.0): 1 of 1 values, such as 6": a.rows(NETWORK, [])},
    {"network.parquet: tensor: expect_column_values_to_be_unique(): 2 of 9 values, such as 'output.bias'": a.rows(NETWORK, [*range(8), 7])},
    {"network.parquet schema: tensor, shape, values: expect_table_columns_to_match_ordered_list": a.without(NETWORK, "shape")},
    {
        "training.json facts: began is known": told("began", "from", value="a friend"),
        "training.json facts: interactions: expect_column_values_to_be_between(min_value=2.0): 1 of 1 values, such as 1": told("interactions", value=1),
        "training.json facts: classes are those of the training": a.document("classes.json", "classes", value=["yes", "no"]),
        "weights.safetensors facts: is there": a.content("weights.safetensors", None),
    },
    {"weights.safetensors facts: weights not finite": weights("weights.safetensors", NAN)},
    {"training.json: cannot be read: KeyError: 'sides.item.bytes'": told("sides", "item", value={"ids": 2, "counts": {}})},
    {"training.json: cannot be read: KeyError: 'began.champion_sha256'": told("began", value={"from": "none"})},
    {"training.json: cannot be read: ValidationError": told("training", "batch_size", value=0)},
    {"classes.json: cannot be read: KeyError: 'missing'": a.content("classes.json", b'{"classes": []}')},
    {
        "history.parquet facts: interactions out of order": a.column("history.parquet", "interactions", [500, 400]),
        "history.parquet: accuracy: expect_column_values_to_be_between(min_value=0.0, max_value=1.0): 1 of 2 values, such as 2": a.column("history.parquet", "accuracy", [2, 0]),
    },
]  # fmt: skip


@pytest.mark.parametrize("changes", MODELS, ids=ids_of(MODELS))
def test_a_broken_model_is_stopped_by_what_is_wrong(changes: CASE, tmp_path: Path) -> None:
    stopped(lambda: trained(tmp_path, *changes.values()), changes, tmp_path / "docs")


@pytest.mark.parametrize(
    ("config", "changes"),
    [
        (FIXED, {"embeddings of another length": embedded("user", [1, 1, 1], [1, 1], [1, 1, 1])}),
        (FIXED, {"size: expect_column_values_to_be_in_set(value_set=[3]): 1 of 3 values, such as 4": a.column(EMBEDDED, "size", [3, 3, 4])}),
        (DARTS, {"embeddings of another length": embedded("user", [1] * 4, [1] * 6, [1] * 4)}),
        (AUTOEMB, {"size: expect_column_values_to_be_in_set(value_set=[6]): 3 of 3 values, such as 4": a.column(EMBEDDED, "size", [4, 4, 4])}),
    ],
    ids=["fixed: length", "fixed: size", "darts: length", "autoemb: size"],
)  # fmt: skip
def test_how_long_an_embedding_is_follows_from_how_sizes_are_found(
    config: Sizing, changes: CASE, tmp_path: Path
) -> None:
    stopped(lambda: trained(tmp_path, *changes.values(), made=config), changes, tmp_path / "docs")


# -- the evaluation ----------------------------------------------------------------------------------------

TIMES = ("0", "1-9", "10-99", "100-999", "1000+")
RECIPE: dict[str, Any] = {
    "name": "stream",
    "task": "stream",
    "prepare": {"test_tail": 0.3},
    "training": {"model": {"kind": "mlp", "hidden": 8}, "batch_size": 50, "embedding": {"kind": "fixed", "size": 4}},
    "promotion": {
        "margin": -1,  # and so nothing holds the promotion back
        "resamples": 100,
        "limits": {"auc": {"min": 0.1}},
        "guardrails": [{"metric": "logloss", "field": "user_seen", "value": "1-9", "max_drop": 1}],
    },
}  # fmt: skip


def made(
    root: Path, delivery: int, inputs: dict[str, str], search: dict[str, Any]
) -> tuple[Any, dict[str, str]]:
    """One delivery of a small stream through all stages up to the model; every contract is kept on the way.

    Args:
        inputs: what prepare and evaluate take of a champion.
    """
    source = {
        "kind": "synthetic",
        "num_interactions": 600,
        "num_users": 40,
        "num_items": 20,
        "delivery": delivery,
    }
    document = {**RECIPE, "workspace": str(root / "workspace"), "source": source, "search": search}
    params = build_recipe(document, place="stream").stage_params()
    there: dict[str, str] = {}
    for spec, needed in (
        (INGEST, {}),
        (PREPARE, {"champion": inputs["champion_dataset"]} if inputs else {}),
        (SEARCH, {}),
        (RETRAIN, {}),
    ):
        named = {each.name for each in spec.inputs} & there.keys() - {"policy" if spec is SEARCH else ""}
        chosen = {name: there[name] for name in named} | needed
        there[spec.output] = execute(
            spec, params[spec.name], chosen, str(root / f"{spec.output}-{delivery}")
        ).uri
    return params["evaluate"], there | inputs


Evaluated = tuple[Any, dict[str, str], Path]


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    """The second delivery's model, compared with the first one's; the parameters, the inputs and the artifact."""
    root = tmp_path_factory.mktemp("stream")
    _, first = made(root, 1, {}, {"kind": "none"})
    champion = {"champion": first["model"], "champion_dataset": first["dataset"]}
    params, inputs = made(root, 2, champion, {"kind": "esapn", "sizes": [2, 4], "hidden": 8})
    return params, inputs, Path(execute(EVALUATE, params, inputs, str(root / "evaluation")).uri)


def judged(evaluated: Evaluated, root: Path, *changes: a.Break) -> Validation:
    params, inputs, artifact = evaluated
    output = shutil.copytree(artifact, root / "evaluation")
    for change in changes:
        change(output)
    places = {name: Path(uri) for name, uri in inputs.items()}
    return of_evaluations.validate(output, params, places, root / "docs")


def cell(file: str, name: str, row: int, value: Any) -> a.Break:
    """Change one value of a table."""

    def change(root: Path) -> None:
        values = read_table(root / file)[name].to_pylist()
        values[row] = value
        a.column(file, name, values)(root)

    return change


def test_a_good_evaluation_passes_and_its_slices_hold_every_interaction_of_the_tail_once(
    evaluated: Evaluated, tmp_path: Path
) -> None:
    found = judged(evaluated, tmp_path)
    assert found.summary["success"] is True
    assert described(found, tmp_path / "evaluation")
    slices = read_table(tmp_path / "evaluation" / "slices.parquet").to_pylist()
    assert [(row["field"], row["value"]) for row in slices[::2]] == [
        (field, times) for field in ("user_seen", "item_seen") for times in TIMES
    ]
    num_tail = read_table(Path(evaluated[1]["dataset"]) / "test.parquet").num_rows
    for field in ("user_seen", "item_seen"):
        for metric in ("auc", "logloss"):
            assert num_tail == sum(
                row["examples"] for row in slices if (row["field"], row["metric"]) == (field, metric)
            )
    learned = [gate for gate in gates_of(found.summary) if gate.name == "learned"]
    assert [gate.value for gate in learned] == [0.0]


ANSWERS, METRICS, SLICES = "per_example.parquet", "metrics.parquet", "slices.parquet"
EVALUATIONS: list[CASE] = [
    {"probabilities facts: challenger: examples without probabilities": cell(ANSWERS, "probability", 0, [0.9, 0.9]), "probabilities facts: champion: examples without probabilities": cell(ANSWERS, "champion_probability", 3, [2.0, -1.0])},
    {"metrics.parquet facts: logloss": cell(ANSWERS, "probability", 0, [0.999, 0.001]), "calibration.parquet facts: challenger: wrong bins": nothing},
    {"per_example.parquet: row: expect_column_values_to_be_unique()": a.rows(ANSWERS, [0, *range(179)])},
    {"per_example.parquet schema: ": a.without(ANSWERS, "champion_probability")},
    {"metrics.parquet facts: metrics are the verdict's": cell(METRICS, "value", 0, 0.5)},
    {"slices.parquet facts: rows that are not the verdict's": cell(SLICES, "low", 2, -0.5)},
    {"slices.parquet facts: rows that are not the verdict's": cell(SLICES, "value", 0, "2-9")},
    {"slices.parquet facts: rows that are not the verdict's": a.rows(SLICES, range(10)), "slices.parquet facts: user_seen: log loss": cell(SLICES, "challenger", 3, 9.0)},
    {"verdict.json facts: gates that do not follow from the numbers": a.document("verdict.json", "gates", value=[])},
    {"verdict.json facts: is about the recipe's metric": a.document("verdict.json", "metric", value="auc")},
    {"verdict.json facts: limits are the recipe's, judged": a.document("verdict.json", "limits", value={})},
    {"report.html facts: bytes": a.content("report.html", None)},
]  # fmt: skip


@pytest.mark.parametrize("changes", EVALUATIONS, ids=ids_of(EVALUATIONS))
def test_a_broken_evaluation_is_stopped_by_what_is_wrong(
    changes: CASE, evaluated: Evaluated, tmp_path: Path
) -> None:
    stopped(lambda: judged(evaluated, tmp_path, *changes.values()), changes, tmp_path / "docs")


def test_slices_that_lose_interactions_are_told(evaluated: Evaluated, tmp_path: Path) -> None:
    """A table and a verdict that agree, but do not fit the tail."""

    def change(root: Path) -> None:
        verdict = a.read_document(root / "verdict.json")
        place = max(range(0, 10, 2), key=lambda row: verdict["slices"][row]["examples"])
        for row in (place, place + 1):
            verdict["slices"][row]["examples"] -= 1
            cell(SLICES, "examples", row, verdict["slices"][row]["examples"])(root)
        write_document(verdict, root / "verdict.json")

    with pytest.raises(GateFailedError, match="user_seen: examples"):
        judged(evaluated, tmp_path, change)
