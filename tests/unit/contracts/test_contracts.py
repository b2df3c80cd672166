# ruff: noqa: E501  (a table reads best with one case a line)
"""Every contract passes a good artifact and stops a broken one, by the name of what is wrong."""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from components.core.errors import GateFailedError
from components.core.stage import Validation
from components.data import scanning
from components.data.contracts.dataset import ranking as dataset
from components.data.parquet import fingerprint, read_table

from . import artifacts as a

MAKE: dict[str, tuple[Callable[[Path], None], Any]] = {
    "interactions": (a.interactions, a.INGEST),
    "dataset": (a.dataset, a.PREPARE),
    "leave_one_out": (a.leave_one_out, a.LEAVE_ONE_OUT),
    "policy": (a.policy, a.SEARCH),
    "model": (a.model, a.RETRAIN),
    "evaluation": (a.evaluation, a.EVALUATE),
    "registration": (a.registration, a.REGISTER),
}
WITH_DOCS = {"interactions", "dataset", "leave_one_out"}
CONTRACT = {  # of what is not named like it
    "interactions": "interactions.ranking",
    "dataset": "dataset.ranking",
    "leave_one_out": "dataset.ranking",
    "model": "model.ranking",
    "evaluation": "evaluation.ranking",
}
NAN, INF = float("nan"), float("inf")
VECTOR_1 = pa.list_(pa.float32(), 1)


def validate(artifact: str, root: Path, changes: Mapping[str, a.Break]) -> Validation:
    output = root / "output"
    output.mkdir()
    make, params = MAKE[artifact]
    make(output)
    for change in changes.values():
        change(output)
    contract = import_module(f"components.data.contracts.{CONTRACT.get(artifact, artifact)}")
    found: Validation = contract.validate(output, params, {}, root / "docs")
    return found


@pytest.mark.parametrize("artifact", MAKE)
def test_a_good_artifact_passes_and_its_tables_are_described(artifact: str, tmp_path: Path) -> None:
    found = validate(artifact, tmp_path, {})
    tables = {path.name: read_table(path) for path in (tmp_path / "output").glob("*.parquet")}
    assert found.tables == {
        name: (table.num_rows, fingerprint(table.schema)) for name, table in tables.items()
    }
    assert found.summary["success"] is True
    assert found.summary["total"] == sum(found.summary["expectations"].values()) > 5
    # of data, what was checked can be read also where nothing is wrong
    assert (tmp_path / "docs" / "gates.parquet").is_file() == (found_docs := artifact in WITH_DOCS)
    assert (tmp_path / "docs" / "data_docs" / "index.html").is_file() == found_docs


# For each case what the message must say, with the change that makes it so; changes in one case are
# found, and told, together.
CASES: list[tuple[str, dict[str, a.Break]]] = [
    ("interactions", {
        "interactions.parquet: user_id: expect_column_values_to_not_be_null(): 1 of 3 values": a.column("interactions.parquet", "user_id", ["a", None, "b"]),
        "item_id: expect_column_value_lengths_to_be_between(min_value=1, max_value=4): 1 of 3 values, such as 'xxxxx'": a.column("interactions.parquet", "item_id", ["x", "y", "xxxxx"]),
        "rating: expect_column_values_to_be_between": a.column("interactions.parquet", "rating", [1, INF, 2]),
        "timestamp: expect_column_values_to_be_between(min_value=0.0, max_value=4102444799.0): 1 of 3 values, such as -3": a.column("interactions.parquet", "timestamp", [1, 2, -3]),
        "part: expect_column_values_to_be_in_set": a.column("interactions.parquet", "part", ["train", "train", "dev"]),
        "rejected.parquet: line: expect_column_values_to_be_between": a.column("rejected.parquet", "line", [0]),
    }),
    ("interactions", {"user_id, item_id: expect_compound_columns_to_be_unique(): 2 of 3 values": a.column("interactions.parquet", "item_id", ["x", "x", "x"])}),
    ("interactions", {"interactions.parquet schema: timestamp: expect_column_values_to_be_in_set(value_set=['int64']): 1 of 1 values, such as 'string'": a.column("interactions.parquet", "timestamp", ["1", "2", "3"], pa.string())}),
    ("interactions", {"interactions.parquet schema: user_id, item_id, rating, timestamp, shop, part: expect_table_columns_to_match_ordered_list": a.without("interactions.parquet", "part")}),
    ("interactions", {"interactions.parquet: rows: expect_table_row_count_to_be_between(min_value=1): found 0": a.rows("interactions.parquet", [])}),
    ("interactions", {
        "interactions facts: rows out of order": a.rows("interactions.parquet", [1, 0, 2]),
        "interactions facts: users in the profile": a.document("profile.json", "users", value=3),
        "interactions facts: rows read": a.document("profile.json", "rows", value=5),
    }),
    ("interactions", {"the delivery: rejected: 3 of 6 rows (50.00%) cannot be used; max_rejected_fraction allows 20.00%": a.rows("rejected.parquet", [0, 0, 0])}),
    ("interactions", {"profile.json: cannot be read": a.content("profile.json", b"{")}),
    ("interactions", {"interactions.parquet: cannot be read": a.content("interactions.parquet", b"PAR1")}),
    ("interactions", {"rejected.parquet: cannot be read": a.content("rejected.parquet", None)}),
    ("dataset", {
        "train.parquet: user: expect_column_values_to_not_be_null": a.column("train.parquet", "user", [0, 0, 1, 1, 2, None]),
        "valid.parquet: item: expect_column_values_to_be_between(min_value=0.0, max_value=2.0): 1 of 2 values, such as 3": a.column("valid.parquet", "item", [0, 3]),
        "test.parquet: rows: expect_table_row_count_to_be_between(min_value=1): found 0": a.rows("test.parquet", []),
        "items.parquet: item_id: expect_column_values_to_be_unique(): 2 of 3 values, such as 'b'": a.column("items.parquet", "item_id", ["a", "b", "b"]),
        "users.parquet: num_train: expect_column_values_to_be_between(min_value=1.0): 1 of 3 values, such as 0": a.column("users.parquet", "num_train", [2, 2, 0]),
    }),
    ("dataset", {"train.parquet: user, item: expect_compound_columns_to_be_unique(): 2 of 6": a.column("train.parquet", "item", [1, 1, 0, 2, 0, 1])}),
    ("dataset", {"valid.parquet schema: user: expect_column_values_to_be_in_set": a.column("valid.parquet", "user", [0, 1], pa.int64())}),
    ("dataset", {
        "leaks: leaked_pairs: 1 interactions stand in two of train, valid and test; need 0": a.column("valid.parquet", "item", [1, 1]),
        "dataset facts: rows out of order": a.rows("train.parquet", [1, 0, 2, 3, 4, 5]),
        "users.parquet facts: holes in the dense ids": a.column("users.parquet", "user", [0, 1, 3]),
        "users.parquet facts: wrong num_train": a.column("users.parquet", "num_train", [2, 2, 1]),
        "items.parquet facts: raw ids out of order": a.column("items.parquet", "item_id", ["a", "c", "b"]),
        "items.parquet facts: wrong num_interactions": a.column("items.parquet", "num_interactions", [3, 3, 1]),
        "core facts: interactions that items lack: expect_column_values_to_be_between(min_value=0.0, max_value=0.0)": lambda root: None,
        "core facts: least interactions of users before the split": a.document("preparation.json", "core_reached", "users", value=1),
        "leaks: future_in_train: 2 interactions in train are later than the first in valid; need 0": a.column("valid.parquet", "timestamp", [6, 3]),
        "split facts: test rows: ": a.document("preparation.json", "split", "sizes", "test", value=3),
        "split facts: valid rows before unseen ones went": a.document("preparation.json", "split", "sizes", "valid", value=5),
    }),
    ("dataset", {"preparation.json: cannot be read: KeyError: 'unseen.policy'": a.document("preparation.json", "unseen", value={})}),
    ("dataset", {
        "train.parquet: timestamp: expect_column_values_to_not_be_null(): 1 of 6 values": a.column("train.parquet", "timestamp", [0, 1, 2, None, 4, 5]),
    }),
    ("leave_one_out", {
        "test.parquet: rating: expect_column_values_to_not_be_null(): 1 of 3 values": a.column("test.parquet", "rating", [None, 3, 4]),
        "train.parquet: rating: expect_column_values_to_be_between": a.column("train.parquet", "rating", [INF, 3, 4]),
    }),
    ("leave_one_out", {
        "split facts: most test rows of one user": a.column("test.parquet", "user", [0, 1, 1]),
        "split facts: valid rows before unseen ones went: expect_column_values_to_be_between(min_value=2.0, max_value=2.0)": a.document("preparation.json", "split", "sizes", "test", value=2),
    }),
    ("leave_one_out", {"split facts: valid rows: ": a.rows("valid.parquet", [])}),
    ("policy", {
        "policy.json facts: alpha_* columns that are not the recipe's samplers'": a.without("trajectory.parquet", "alpha_dns"),
        "policy.json facts: probability_* columns that are not the recipe's samplers'": a.without("trajectory.parquet", "probability_dns"),
    }),
    ("policy", {
        "policy.json facts: alpha_*": lambda root: [a.without("trajectory.parquet", f"{prefix}_{kind}")(root) for prefix in ("alpha", "probability") for kind in ("uniform", "dns")],
        "policy.json facts: decided sampler's alpha below the largest at best_epoch": lambda root: None,
    }),
    ("policy", {
        "policy.json facts: decided sampler's alpha below the largest at best_epoch": a.document("policy.json", "decision", value={"sampler": "dns"}),
        "policy.json facts: patch is the decided sampler": lambda root: None,
    }),
    ("policy", {"policy.json facts: decided sampler's alpha": a.document("policy.json", "decision", value={"sampler": "aobpr"})}),
    ("policy", {"policy.json facts: best_epoch: expect_column_values_to_be_between(min_value=1.0, max_value=2.0): 1 of 1 values, such as 0.0": a.document("policy.json", "best_epoch", value=0)}),
    ("policy", {
        "trajectory.parquet alpha_* facts: largest distance of a row's sum from 1": a.column("trajectory.parquet", "alpha_dns", [0.5, -0.3]),
        "trajectory.parquet alpha_*: alpha_dns: expect_column_values_to_be_between": lambda root: None,
        "trajectory.parquet alpha_*: alpha_uniform: expect_column_values_to_not_be_null": a.column("trajectory.parquet", "alpha_uniform", [NAN, 0.7]),
        "trajectory.parquet probability_* facts": a.column("trajectory.parquet", "probability_dns", [0.9, 0.4]),
        "trajectory.parquet facts: loss_dns not finite": a.column("trajectory.parquet", "loss_dns", [0.9, INF]),
        "trajectory.parquet: ndcg@20: expect_column_values_to_be_between": a.column("trajectory.parquet", "ndcg@20", [0.9, 1.1]),
        "trajectory.parquet facts: epochs out of order": a.column("trajectory.parquet", "epoch", [1, 1]),
        "policy.json facts: epochs": a.document("policy.json", "epochs", value=3),
        "policy.json facts: best_epoch": a.document("policy.json", "best_epoch", value=9),
        "weights.safetensors facts: weights not finite": a.weights(NAN),
    }),
    ("policy", {"policy.json facts: is of the recipe's kind": a.document("policy.json", "kind", value="none"), "weights.safetensors facts: is there": lambda root: None}),
    ("policy", {"policy.json: cannot be read: ValidationError": a.document("policy.json", "epochs", value="many")}),
    ("model", {
        "user_embeddings.parquet facts: numbers that are not finite": a.column("user_embeddings.parquet", "embedding", [[0, 1], [1, 2], [3, NAN]]),
        "embeddings facts: dim of the items' embeddings": a.column("item_embeddings.parquet", "embedding", [[1], [2], [3]], VECTOR_1),
        "item_embeddings.parquet facts: holes in the dense ids": a.column("item_embeddings.parquet", "item", [0, 2, 1]),
        "history.parquet facts: train_loss not finite": a.column("history.parquet", "train_loss", [None, NAN]),
        "training.json facts: best_epoch": a.document("training.json", "best_epoch", value=4),
        "user_embeddings.parquet: rows: expect_table_row_count_to_be_between(min_value=2, max_value=2): found 3": a.document("training.json", "num_users", value=2),
        "weights.safetensors facts: readable": a.content("weights.safetensors", b"junk"),
    }),
    ("model", {"user_embeddings.parquet: cannot be read": a.column("user_embeddings.parquet", "embedding", [None, [1, 2], [3, 4]])}),
    ("model", {"item_embeddings.parquet schema: embedding": a.column("item_embeddings.parquet", "embedding", [[1], [2], [3]], pa.list_(pa.float32()))}),
    ("model", {"training.json: cannot be read: ValidationError": a.document("training.json", "training", "batch_size", value=-1)}),
    ("evaluation", {
        "metrics.parquet: value: expect_column_values_to_be_between": a.column("metrics.parquet", "value", [0.5] * 7 + [1.5]),
        "metrics.parquet: metric: expect_column_values_to_be_in_set": a.column("metrics.parquet", "metric", ["recall"] * 7 + ["auc"]),
        "metrics.parquet: metric, k: expect_compound_columns_to_be_unique": lambda root: None,
        "metrics.parquet: num_users: expect_column_values_to_be_in_set(value_set=[2])": a.column("metrics.parquet", "num_users", [3] * 8),
        "per_user.parquet: user: expect_column_values_to_be_unique": a.column("per_user.parquet", "user", [0, 0]),
        "per_user.parquet: ndcg@2: expect_column_values_to_not_be_null": a.column("per_user.parquet", "ndcg@2", [0, NAN]),
    }),
    ("evaluation", {"metrics.parquet: rows: expect_table_row_count": a.rows("metrics.parquet", [0, 1, 2, 3])}),
    ("evaluation", {"metrics.parquet: rows: expect_table_row_count_to_be_between(min_value=8, max_value=8): found 9": a.rows("metrics.parquet", [*range(8), 0])}),
    ("evaluation", {"metrics.parquet: k: expect_column_values_to_be_in_set(value_set=[1, 2]): 1 of 8 values, such as 3": a.column("metrics.parquet", "k", [1, 3] + [1, 2] * 3)}),
    ("evaluation", {
        "metrics.parquet facts: mean recall@1": a.column("metrics.parquet", "value", [0.4] + [0.5] * 7),
        "metrics.parquet facts: champion's mean ndcg@2": a.without("per_user.parquet", "champion_ndcg@2"),
        "verdict.json facts: promote": a.document("verdict.json", "promote", value=False),
        "verdict.json facts: gates that do not follow from the numbers": a.document("verdict.json", "comparisons", "champion", "ndcg@2", "low", value=0.05),
        "verdict.json facts: beyond accuracy is the table's": a.column("beyond_accuracy.parquet", "champion", [0.25] * 6),
        "verdict.json facts: resamples": a.document("verdict.json", "resamples", value=10),
        "comparisons facts: popularity: metrics with wrong numbers": a.document("verdict.json", "comparisons", "popularity", "recall@1", "better", value=2),
        "slices.parquet facts: new_users: users with ndcg@2": a.column("slices.parquet", "users", [2, 1, 1, 1]),
        "slices.parquet facts: rows that are not the verdict's": lambda root: None,
        "verdict.json facts: challenger": a.document("verdict.json", "challenger", value=0.9),
        "verdict.json facts: champion": a.document("verdict.json", "champion", value=0.1),
        "verdict.json facts: margin": a.document("verdict.json", "margin", value=0.0),
        "verdict.json facts: floors are the recipe's, judged": a.document("verdict.json", "floors", "recall@1", "passed", value=False),
        "report.html facts: bytes": a.content("report.html", None),
    }),
    ("evaluation", {"verdict.json facts: floors are the recipe's, judged": a.document("verdict.json", "floors", value={})}),
    ("evaluation", {"verdict.json: cannot be read: ValidationError": a.document("verdict.json", "comparisons", value={"best": {}})}),
    ("evaluation", {"slices.parquet facts: light_users: mean ndcg@2": a.column("per_user.parquet", "num_train", [4, 2])}),
    ("evaluation", {"beyond_accuracy.parquet: rows": a.rows("beyond_accuracy.parquet", [0, 1])}),
    ("registration", {"registration.parquet: rows: expect_table_row_count": a.rows("registration.parquet", [0, 0])}),
    ("registration", {"registration.parquet: model: expect_column_values_to_be_in_set(value_set=['m']): 1 of 1 values, such as 'other'": a.column("registration.parquet", "model", ["other"])}),
    ("registration", {"model_card.md: cannot be read": a.content("model_card.md", None)}),
    ("registration", {
        "registration.json facts: promoted": a.document("registration.json", "aliases", value=["latest"]),
        "registration.json facts: has the alias challenger": lambda root: None,
        "registration.json facts: fields that differ from the table": a.document("registration.json", "version", value="3"),
        "model_card.md facts: names the model and the version": a.content("model_card.md", b"# m, version 1\n"),
    }),
]  # fmt: skip


@pytest.mark.parametrize(
    ("artifact", "changes"),
    CASES,
    ids=[f"{artifact}-{next(iter(changes))}"[:70] for artifact, changes in CASES],
)
def test_a_broken_artifact_is_stopped_and_leaves_data_docs(
    artifact: str, changes: dict[str, a.Break], tmp_path: Path
) -> None:
    with pytest.raises(GateFailedError) as error:
        validate(artifact, tmp_path, changes)
    assert [told for told in changes if told not in str(error.value)] == []
    assert (tmp_path / "docs" / "data_docs" / "index.html").is_file()
    stopped = [gate for gate in error.value.gates if gate.outcome == "stopped"]
    assert stopped
    table = read_table(tmp_path / "docs" / "gates.parquet")
    assert table.to_pylist() == [gate.document() for gate in error.value.gates]


@pytest.mark.parametrize("artifact", ["interactions", "dataset"])
def test_what_is_wrong_is_told_alike_of_tables_in_parts(
    artifact: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(place: Path, changes: Mapping[str, a.Break]) -> str:
        place.mkdir()
        with pytest.raises(GateFailedError) as error:
            validate(artifact, place, changes)
        return str(error.value).replace(str(place), "")

    cases = [changes for name, changes in CASES if name == artifact]
    whole = [told(tmp_path / f"whole-{n}", changes) for n, changes in enumerate(cases)]
    monkeypatch.setattr(scanning, "_PART_ROWS", 1)
    monkeypatch.setattr(dataset, "_COMPARED", 1)
    assert [told(tmp_path / f"parts-{n}", changes) for n, changes in enumerate(cases)] == whole
