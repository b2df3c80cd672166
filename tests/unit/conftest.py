"""A small finished loop, made by hand: artifacts with manifests, for the stages that judge and register."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from components.core.manifest import MANIFEST, InputEntry, Manifest, describe_files
from components.core.recipe import RankingTraining
from components.data.parquet import write_table

Pairs = Sequence[tuple[int, int]]
DAY = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Loop:
    """Writes artifacts below `root`. Users and items are dense ids; raw ids are given for each."""

    root: Path
    manifests: dict[str, Manifest] = field(default_factory=dict)

    def publish(
        self,
        artifact: str,
        stage: str,
        inputs: Sequence[str] = (),
        *,
        params: Mapping[str, Any] | None = None,
    ) -> Path:
        """Write the manifest of the files below `root / artifact`."""
        directory = self.root / artifact
        manifest = Manifest(
            stage=stage,
            artifact=artifact,
            key="0" * 64,
            params=dict(params or {}),
            code_version="0",
            git_sha=None,
            image_digest=None,
            inputs={
                name: InputEntry(uri=str(self.root / name), sha256=self.manifests[name].sha256)
                for name in inputs
            },
            files=describe_files(directory, {}),
            metrics={"epochs": 3.0},
            validation={},
            seed=1,
            device="cpu",
            packages={},
            started=DAY,
            ended=DAY,
        )
        (directory / MANIFEST).write_bytes(manifest.to_json())
        self.manifests[artifact] = manifest
        return directory

    def folder(self, artifact: str) -> Path:
        directory = self.root / artifact
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    def interactions(self, profile: Mapping[str, Any] | None = None) -> Path:
        quantiles = dict.fromkeys(("min", "q25", "median", "q75", "q90", "q99", "max", "mean"), 3.0)
        document = profile or {
            "rows": 33,
            "rejected_rows": 2,
            "rejected_by_reason": {"user_id is empty": 2},
            "duplicates_dropped": 1,
            "interactions": 30,
            "users": 5,
            "items": 8,
            "density": 0.75,
            "interactions_per_user": quantiles,
            "popularity": quantiles,
            "popularity_histogram": [{"from": 1, "to": 1, "items": 3}, {"from": 2, "to": 3, "items": 5}],
            "rating": None,
            "time_range": {"first": "2026-01-01T00:00:00+00:00", "last": "2026-02-01T00:00:00+00:00"},
        }
        (self.folder("interactions") / "profile.json").write_text(json.dumps(document))
        return self.publish("interactions", "ingest", params={"source": {"kind": "synthetic"}})

    def dataset(
        self, user_ids: Sequence[Any], item_ids: Sequence[Any], train: Pairs, valid: Pairs, test: Pairs
    ) -> Path:
        directory = self.folder("dataset")
        for part, pairs in (("train", train), ("valid", valid), ("test", test)):
            columns = np.array(sorted(pairs), dtype=np.int32).reshape(-1, 2).T
            write_table(pa.table({"user": columns[0], "item": columns[1]}), directory / f"{part}.parquet")
        for side, name, ids in ((0, "user", user_ids), (1, "item", item_ids)):
            total = np.bincount([pair[side] for pair in (*train, *valid, *test)], minlength=len(ids))
            in_train = np.bincount([pair[side] for pair in train], minlength=len(ids))
            table = {
                name: np.arange(len(ids), dtype=np.int32),
                f"{name}_id": list(ids),
                "num_interactions": total.astype(np.int32),
                "num_train": in_train.astype(np.int32),
            }
            write_table(pa.table(table), directory / f"{name}s.parquet")
        document = {
            "below_min_rating": 0,
            "core": {"users": 1, "items": 1},
            "core_reached": {"users": 1, "items": 1},
            "rounds": [{"users": 1, "items": 0, "interactions": 1}],
            "split": {"kind": "random", "ratio": [3, 1, 1]},
            "unseen": {"policy": "drop", "valid": 0, "test": 1, "users": 1, "items": 0},
            "users": len(user_ids),
            "items": len(item_ids),
            "sizes": {"train": len(train), "valid": len(valid), "test": len(test)},
        }
        (directory / "preparation.json").write_text(json.dumps(document))
        return self.publish("dataset", "prepare", ["interactions"])

    def policy(self) -> Path:
        directory = self.folder("policy")
        document = {
            "kind": "autosample",
            "patch": {"sampler": {"kind": "dns", "pool_size": 8}},
            "decision": {"sampler": "dns"},
            "best_epoch": 2,
            "epochs": 3,
        }
        (directory / "policy.json").write_text(json.dumps(document))
        trajectory = {
            "epoch": pa.array([1, 2, 3], pa.int32()),
            "alpha_uniform": [0.5, 0.4, 0.3],
            "alpha_dns": [0.5, 0.6, 0.7],
            "probability_uniform": [0.5, 0.45, 0.4],
            "probability_dns": [0.5, 0.55, 0.6],
            "temperature": [1.0, 0.9, 0.8],
            "train_loss": [0.7, 0.6, 0.5],
            "ndcg@20": [0.1, 0.2, None],
        }
        write_table(pa.table(trajectory), directory / "trajectory.parquet")
        search = {"kind": "autosample", "samplers": [{"kind": "uniform"}, {"kind": "dns", "pool_size": 8}]}
        return self.publish("policy", "search", ["dataset"], params={"search": search})

    def model(
        self,
        user_ids: Sequence[Any],
        item_ids: Sequence[Any],
        users_UD: np.ndarray,
        items_ID: np.ndarray,
        *,
        name: str = "model",
    ) -> Path:
        directory = self.folder(name)
        for side, ids, matrix in (("user", user_ids, users_UD), ("item", item_ids, items_ID)):
            flat = pa.array(matrix.astype(np.float32).reshape(-1))
            table = {
                side: np.arange(len(ids), dtype=np.int32),
                f"{side}_id": list(ids),
                "embedding": pa.FixedSizeListArray.from_arrays(flat, matrix.shape[1]),
            }
            write_table(pa.table(table), directory / f"{side}_embeddings.parquet")
        history = {"epoch": pa.array([0, 1], pa.int32()), "train_loss": [None, 0.4], "ndcg@20": [0.2, 0.25]}
        write_table(pa.table(history), directory / "history.parquet")
        document = {
            "training": RankingTraining().model_dump(mode="json"),
            "warm_start": {"from": "search", "champion_sha256": None, "tensors": {}},
            "warm_check": None,
            "best_epoch": 1,
            "epochs": 1,
            "num_users": len(user_ids),
            "num_items": len(item_ids),
        }
        (directory / "training.json").write_text(json.dumps(document))
        if name != "model":
            return self.publish(name, "retrain")
        return self.publish("model", "retrain", ["dataset", "policy"])


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    """An empty loop."""
    return Loop(tmp_path)
