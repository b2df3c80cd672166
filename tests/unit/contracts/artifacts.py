"""Small artifacts that keep their contracts, and ways to break them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from safetensors.numpy import save_file

from components.core.recipe import (
    EvaluateParams,
    IngestParams,
    PrepareParams,
    RankingTraining,
    RegisterParams,
    RetrainParams,
    SearchParams,
)
from components.core.recipe.judgement import Range
from components.core.recipe.ranking import DnsSampler, UniformSampler
from components.core.recipe.ranking_judgement import Guardrail, RankingEvaluation, RankingPromotion
from components.core.recipe.search import AutoSample
from components.core.recipe.source import Columns, FilesSource
from components.core.verdict import BeyondAccuracy, Comparison, SliceResult, Verdict
from components.data.document import read_document, write_document
from components.data.evaluation import SLICES
from components.data.parquet import read_table, write_table
from components.metrics.decision import learned
from components.metrics.promotion import floors, judge

Break = Callable[[Path], None]
OTHERS = ("champion", "popularity", "item_knn")
INGEST = IngestParams(
    source=FilesSource(
        parts={"train": "x", "test": "y"},
        columns=Columns(rating="r", timestamp="t", features={"shop": "shop"}),
        max_id_length=4,
    ),
    max_rejected_fraction=0.2,
    seed=1,
)
PREPARE = PrepareParams(core=2, split={"kind": "temporal", "ratio": [4, 1, 1]}, seed=1)
LEAVE_ONE_OUT = PrepareParams(core=2, split={"kind": "leave_one_out"}, seed=1)
SAMPLERS = (UniformSampler(), DnsSampler())
SEARCH = SearchParams(search=AutoSample(samplers=SAMPLERS), training=RankingTraining(), seed=1)
RETRAIN = RetrainParams(training=RankingTraining(), seed=1, model="m", tracking_uri="sqlite:///x")
EVALUATE = EvaluateParams(
    evaluation=RankingEvaluation(ks=(1, 2)),
    promotion=RankingPromotion(
        metric="ndcg@2",
        margin=0.1,
        floors={"recall@1": 0.2},
        guardrails=(
            Guardrail(metric="recall@2", max_drop=0.1),
            Guardrail(metric="ndcg@2", slice="tail_items"),
        ),
        min_slice_users=2,
        bounds={"gini@2": Range(max=0.9)},
    ),
    model="m",
    tracking_uri="sqlite:///x",
)
REGISTER = RegisterParams(model="m", tracking_uri="sqlite:///x", experiment="e", ledger="ledgers", recipe={})


def interactions(root: Path) -> None:
    table = pa.table(
        {
            "user_id": ["a", "a", "b"],
            "item_id": ["x", "y", "x"],
            "rating": [1.0, 2.0, 3.0],
            "timestamp": [1, 2, 3],
            "shop": ["p", None, "q"],
            "part": ["train", "train", "test"],
        }
    )
    write_table(table, root / "interactions.parquet")
    rejected = {"file": ["f.csv"], "line": [7], "reason": ["is empty"], "content": [""]}
    write_table(pa.table(rejected), root / "rejected.parquet")
    profile = {"rows": 6, "users": 2, "items": 2, "duplicates_dropped": 2}
    write_document(profile, root / "profile.json")


def dataset(root: Path) -> None:
    """Three users and items with all nine pairs: the diagonal, and last in time, validates and tests."""
    rows = {
        "train": ([0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1], [0, 1, 2, 3, 4, 5]),
        "valid": ([0, 1], [0, 1], [6, 7]),
        "test": ([2], [2], [8]),
    }
    for part, (user, item, time) in rows.items():
        users, items = pa.array(user, pa.int32()), pa.array(item, pa.int32())
        write_table(pa.table({"user": users, "item": items, "timestamp": time}), root / f"{part}.parquet")
    for side in ("user", "item"):
        counts = {
            "num_interactions": pa.array([3] * 3, pa.int32()),
            "num_train": pa.array([2] * 3, pa.int32()),
        }
        ids = {side: pa.array([0, 1, 2], pa.int32()), f"{side}_id": ["a", "b", "c"]}
        write_table(pa.table({**ids, **counts}), root / f"{side}s.parquet")
    sizes = {part: len(user) for part, (user, _, _) in rows.items()}
    document = {
        "core_reached": {"users": 3, "items": 3},
        "split": {"kind": "temporal", "sizes": sizes},
        "unseen": {"policy": "drop", "valid": 0, "test": 0, "users": 0, "items": 0},
        "sizes": sizes,
    }
    write_document(document, root / "preparation.json")


def leave_one_out(root: Path) -> None:
    """The same pairs, with one to validate and one to test for each user."""
    dataset(root)
    rows = {
        "train": ([0, 1, 2], [1, 2, 0]),
        "valid": ([0, 1, 2], [2, 0, 1]),
        "test": ([0, 1, 2], [0, 1, 2]),
    }
    for part, (user, item) in rows.items():
        users, items = pa.array(user, pa.int32()), pa.array(item, pa.int32())
        ratings = [5.0, 3.0, 4.0]
        write_table(pa.table({"user": users, "item": items, "rating": ratings}), root / f"{part}.parquet")
    for side in ("user", "item"):
        column(f"{side}s.parquet", "num_train", [1] * 3)(root)
    sizes = dict.fromkeys(rows, 3)
    document("preparation.json", "split", value={"kind": "leave_one_out", "sizes": sizes})(root)


def policy(root: Path) -> None:
    write_document(
        {
            "kind": "autosample",
            "patch": {"sampler": {"kind": "uniform"}},
            "decision": {"sampler": "uniform"},
            "best_epoch": 2,
            "epochs": 2,
        },
        root / "policy.json",
    )
    trajectory = {
        "epoch": pa.array([1, 2], pa.int32()),
        "alpha_uniform": [0.5, 0.7],
        "alpha_dns": [0.5, 0.3],
        "probability_uniform": [0.5, 0.6],
        "probability_dns": [0.5, 0.4],
        "loss_uniform": [0.6, 0.5],
        "loss_dns": [0.7, 0.6],
        "temperature": [1.0, 0.9],
        "train_loss": [0.6, 0.5],
        "ndcg@20": [None, 0.3],
    }
    write_table(pa.table(trajectory), root / "trajectory.parquet")
    save_file({"users": np.ones((2, 2), np.float32)}, root / "weights.safetensors")


def model(root: Path) -> None:
    for side in ("user", "item"):
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(6, dtype=np.float32)), 2)
        ids = {side: pa.array([0, 1, 2], pa.int32()), f"{side}_id": [5, 6, 7]}
        write_table(pa.table({**ids, "embedding": vectors}), root / f"{side}_embeddings.parquet")
    history = {"epoch": pa.array([0, 1], pa.int32()), "train_loss": [None, 0.4], "ndcg@20": [0.2, 0.3]}
    write_table(pa.table(history), root / "history.parquet")
    document = {
        "training": RankingTraining().model_dump(mode="json"),
        "warm_start": {"from": "search", "champion_sha256": None, "tensors": {}},
        "warm_check": None,
        "best_epoch": 1,
        "epochs": 1,
        "num_users": 3,
        "num_items": 3,
    }
    write_document(document, root / "training.json")
    save_file({"users": np.ones((2, 2), np.float32)}, root / "weights.safetensors")


def evaluation(root: Path) -> None:
    names = [f"{metric}@{k}" for metric in ("recall", "ndcg", "precision", "hit_ratio") for k in (1, 2)]
    metrics = {
        "metric": [name.partition("@")[0] for name in names],
        "k": pa.array([1, 2] * 4, pa.int32()),
        "value": [0.5] * 8,
        "num_users": [2] * 8,
        "champion_value": [0.25] * 8,
    }
    write_table(pa.table(metrics), root / "metrics.parquet")
    per_user = {
        "user": pa.array([0, 3], pa.int32()),
        "user_id": ["a", "d"],
        "num_relevant": pa.array([1, 2], pa.int32()),
        "num_train": pa.array([2, 4], pa.int32()),
        "num_tail": pa.array([0, 1], pa.int32()),
        "new": [True, False],
        **{name: [0.0, 1.0] for name in names},
        **{f"{other}_{name}": [0.0, 0.5] for other in OTHERS for name in names},
    }
    write_table(pa.table(per_user), root / "per_user.parquet")
    beyond = {f"{measure}@{k}": 0.5 for measure in ("coverage", "gini", "popularity") for k in (1, 2)}
    table = {
        "measure": [name.partition("@")[0] for name in beyond],
        "k": pa.array([1, 2] * 3, pa.int32()),
        **{model: list(beyond.values()) for model in ("challenger", *OTHERS)},
    }
    order = ("measure", "k", "challenger", "champion", "popularity", "item_knn")
    write_table(pa.table({name: table[name] for name in order}), root / "beyond_accuracy.parquet")
    verdict = _verdict(names, beyond)
    write_table(
        pa.Table.from_pylist([found.model_dump() for found in verdict.slices], schema=SLICES),
        root / "slices.parquet",
    )
    write_document(verdict.document(), root / "verdict.json")
    (root / "report.html").write_text("<html></html>")


def _verdict(names: Sequence[str], beyond: Mapping[str, float]) -> Verdict:
    found = Comparison(
        challenger=0.5,
        other=0.25,
        difference=0.25,
        low=0.125,
        high=0.375,
        p_value=0.5,
        better=1,
        equal=1,
        worse=0,
    )
    means = dict.fromkeys(names, 0.5)
    comparisons = {other: dict.fromkeys(names, found) for other in OTHERS}
    slices = tuple(
        SliceResult(
            slice=name,
            metric="ndcg@2",
            users=1,
            challenger=value,
            champion=value / 2,
            difference=value / 2,
            low=value / 4,
            high=value,
        )
        for name, value in (
            ("new_users", 0.0),
            ("light_users", 0.0),
            ("heavy_users", 1.0),
            ("tail_items", 1.0),
        )
    )
    measured = {
        name: BeyondAccuracy(challenger=value, champion=value, popularity=value, item_knn=value)
        for name, value in beyond.items()
    }
    promotion = EVALUATE.promotion
    gates = (*judge(promotion, means, comparisons, slices, measured), learned(0.0, "test pairs"))
    return Verdict(
        promote=True,
        reason="better",
        rule="champion",
        metric="ndcg@2",
        margin=0.1,
        confidence=promotion.confidence,
        resamples=promotion.resamples,
        num_users=2,
        challenger=0.5,
        champion=0.25,
        champion_version="1",
        floors=floors(promotion, means),
        comparisons=comparisons,
        slices=slices,
        beyond_accuracy=measured,
        gates=gates,
    )


def registration(root: Path) -> None:
    row = {
        "model": "m",
        "version": "2",
        "run_id": "r",
        "promoted": True,
        "reason": "better",
        "previous_champion_version": "1",
        "ledger": "/ledgers/m",
    }
    write_table(pa.Table.from_pylist([row]), root / "registration.parquet")
    write_document({**row, "aliases": ["challenger", "champion"]}, root / "registration.json")
    (root / "model_card.md").write_text("# m, version 2\n")


# -- ways to break one -------------------------------------------------------------------------------


def column(file: str, name: str, values: Sequence[Any], kind: pa.DataType | None = None) -> Break:
    """Give a column of a table other values, or another type."""

    def change(root: Path) -> None:
        table = read_table(root / file)
        place = table.schema.get_field_index(name)
        new = pa.array(values, kind or table.schema.field(place).type)
        write_table(table.set_column(place, name, new), root / file)

    return change


def rows(file: str, places: Sequence[int]) -> Break:
    """Keep, repeat or reorder the rows of a table."""

    def change(root: Path) -> None:
        write_table(read_table(root / file).take(pa.array(places, pa.int64())), root / file)

    return change


def without(file: str, name: str) -> Break:
    """Take a column away."""

    def change(root: Path) -> None:
        write_table(read_table(root / file).drop_columns([name]), root / file)

    return change


def document(file: str, *path: str, value: Any) -> Break:
    """Change one value in a JSON file."""

    def change(root: Path) -> None:
        whole = section = read_document(root / file)
        for key in path[:-1]:
            section = section[key]
        section[path[-1]] = value
        write_document(whole, root / file)

    return change


def content(file: str, text: bytes | None) -> Break:
    """Put other bytes in a file's place, or nothing."""

    def change(root: Path) -> None:
        (root / file).unlink()
        if text is not None:
            (root / file).write_bytes(text)

    return change


def weights(value: float) -> Break:
    """Weights with one of this value."""

    def change(root: Path) -> None:
        save_file({"users": np.array([1, value], np.float32)}, root / "weights.safetensors")

    return change
