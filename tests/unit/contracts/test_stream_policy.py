# ruff: noqa: E501  (a table reads best with one case a line)
"""The contract of a policy of sizes: it passes a good artifact, and stops a broken one by the name of what is
wrong."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from components.core.errors import GateFailedError
from components.core.recipe import (
    SearchForStreamParams,
    StreamTraining,
)
from components.core.recipe.search import NoSearch
from components.core.recipe.stream import Esapn
from components.core.stage import Validation
from components.data.contracts import policy as of_policies
from components.data.document import write_document
from components.data.parquet import write_table

from . import artifacts as a
from .streams import (
    AUTOEMB,
    CASE,
    DARTS,
    ESAPN,
    INF,
    ITEMS,
    NAN,
    NUMBERS,
    RAW,
    USERS,
    Sizing,
    course,
    described,
    ids_of,
    nothing,
    size_table,
    sizes_of,
    stopped,
    weights,
)


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
