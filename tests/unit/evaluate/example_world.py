"""Labelled examples with a dataset and linear classifiers, made by hand."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from components.core.recipe import ClassificationTraining, EvaluateClassifierParams
from components.core.recipe.classification import Controlled
from components.core.recipe.example_judgement import ExampleEvaluation, ExamplePromotion
from components.core.recipe.example_preparation import Encodings
from components.core.recipe.examples import FieldKind
from components.core.stage import Context
from components.data.document import write_document
from components.data.encoders.field import FieldEncoder
from components.data.encoders.tables import write_encoders
from components.data.parquet import write_table
from components.evaluate.classification.run import run
from tests.unit.conftest import Loop
from tests.unit.registry.classifiers import TYPES, fitted, table_of, weights_of, write_served

KINDS: dict[str, FieldKind] = {"item": "categorical", "price": "numeric", "genres": "multi_valued"}
NUM, TRAIN, VALID = 600, 380, 420  # examples; the first of valid, and of test
ITEMS, GENRES = ("a", "b", "c", "d", "rare"), ("x", "y", "z")
HASHED = Encodings(categorical={"kind": "hashed", "buckets": 7})  # type: ignore[arg-type]


@dataclass
class Model:
    """What a model artifact is made of, to ask it slowly."""

    encoders: list[FieldEncoder]
    table_RW: np.ndarray
    weight: np.ndarray

    def probabilities(self, columns: dict[str, list[Any]]) -> np.ndarray:
        """Example by example, field by field."""
        rows, offset = [], 0
        for encoder in self.encoders:
            codes = encoder.encode(pa.array(columns[encoder.name], TYPES[encoder.kind])).to_pylist()
            own = self.table_RW[offset : offset + encoder.size].astype(np.float64)
            rows.append([own[np.array(code)].reshape(-1, own.shape[1]).mean(axis=0) for code in codes])
            offset += encoder.size
        logit = np.concatenate(rows, axis=1) @ self.weight.astype(np.float64)
        if logit.shape[1] == 1:
            logit = np.concatenate([np.zeros_like(logit), logit], axis=1)
        return np.exp(logit) / np.exp(logit).sum(axis=1, keepdims=True)


@dataclass
class World:
    """Examples whose label a model can guess, and the artifacts of a loop over them."""

    loop: Loop
    classes: tuple[str, ...] = ("no", "yes")
    encodings: Encodings = field(default_factory=Encodings)
    kinds: dict[str, FieldKind] = field(default_factory=KINDS.copy)
    inputs: dict[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        generator = np.random.default_rng(5)
        item = generator.choice(ITEMS, NUM, p=[0.4, 0.3, 0.2, 0.095, 0.005])
        price = np.round(generator.lognormal(1, 1, NUM), 2)
        self.columns: dict[str, list[Any]] = {
            "item": [
                None if n % 50 == 0 else "new" if n > VALID and n % 29 == 0 else str(item[n])
                for n in range(NUM)
            ],
            "price": [None if n % 40 == 0 else float(price[n]) for n in range(NUM)],
            "genres": [
                [GENRES[g] for g in np.flatnonzero(generator.random(3) < 0.5)] or None for _ in range(NUM)
            ],
        }
        self.model_of = self.make(self.encodings, seed=0)
        chance = self.model_of.probabilities(self.columns)
        drawn = chance.cumsum(axis=1) > generator.random((NUM, 1))
        self.label = drawn.argmax(axis=1).astype(np.int32)

    def make(self, encodings: Encodings, seed: int, train: int = TRAIN) -> Model:
        """A linear classifier with a vocabulary of the first examples."""
        columns = {name: values[:train] for name, values in self.columns.items()}
        encoders = fitted(self.kinds, encodings, columns)
        num_logits = 1 if len(self.classes) == 2 else len(self.classes)
        weight = weights_of(len(self.kinds), 4, num_logits, seed + 1)
        return Model(encoders, table_of(encoders, 4, seed), weight)

    def test(self, name: str) -> list[Any]:
        """A column of the test examples."""
        return self.columns[name][VALID:]

    def publish(self) -> "World":
        """All artifacts that an evaluation needs."""
        self.inputs = {"interactions": self.interactions(), "dataset": self.dataset()}
        self.inputs |= {"policy": self.policy(), "model": self.model(self.model_of)}
        return self

    def interactions(self, name: str = "interactions") -> Path:
        directory = self.loop.folder(name)
        columns = [pa.array(self.columns[name], TYPES[kind]) for name, kind in self.kinds.items()]
        table = pa.table([pa.array(self.label), *columns], names=["label", *self.kinds])
        write_table(table, directory / "interactions.parquet")
        document = {
            "rows": NUM + 2,
            "rejected_rows": 2,
            "rejected_by_reason": {"label is <empty>": 2},
            "examples": NUM,
            "duplicates": 3,
            "fields": {name: {"kind": kind} for name, kind in self.kinds.items()},
            "time_range": None,
        }
        (directory / "profile.json").write_text(json.dumps(document))
        return self.loop.publish(name, "ingest", params={"source": {"kind": "synthetic"}})

    def dataset(self, name: str = "dataset", interactions: str = "interactions") -> Path:
        directory = self.loop.folder(name)
        encoders, parts = (
            self.model_of.encoders,
            {"train": (0, TRAIN), "valid": (TRAIN, VALID), "test": (VALID, NUM)},
        )
        write_encoders(encoders, directory)
        for part, (start, stop) in parts.items():
            codes = [
                encoder.encode(pa.array(self.columns[encoder.name][start:stop], TYPES[encoder.kind]))
                for encoder in encoders
            ]
            columns = [pa.array(np.arange(start, stop)), pa.array(self.label[start:stop]), *codes]
            write_table(pa.table(columns, names=["row", "label", *self.kinds]), directory / f"{part}.parquet")
        counts = {
            part: np.bincount(self.label[start:stop], minlength=len(self.classes)).tolist()
            for part, (start, stop) in parts.items()
        }
        document = {
            "classes": list(self.classes),
            "sizes": {part: stop - start for part, (start, stop) in parts.items()},
            "class_counts": {
                part: dict(zip(self.classes, count, strict=True)) for part, count in counts.items()
            },
            "split": {"kind": "random", "ratio": [8, 1, 1]},
            "fields": {
                name: {
                    "encoding": "values",
                    "size": 9,
                    "missing": 0.02,
                    "unknown": {"train": 0.0, "valid": None, "test": 0.00001},
                }
                for name in self.kinds
            },
            "equal_across_parts": 4,
        }
        write_document(document, directory / "preparation.json")
        return self.loop.publish(name, "prepare", [interactions])

    def policy(self) -> Path:
        directory = self.loop.folder("policy")
        document = {
            "kind": "autoloss",
            "patch": {"loss": Controlled().model_dump(mode="json")},
            "decision": {},
            "best_epoch": 2,
            "epochs": 2,
        }
        write_document(document, directory / "policy.json")
        trajectory: dict[str, Sequence[Any]] = {
            "epoch": pa.array([1, 2], pa.int32()),
            **{
                f"{prefix}_{kind}": [0.5, 0.4]
                for prefix in ("alpha", "probability", "loss")
                for kind in ("focal", "hinge")
            },
            "temperature": [1.0, 0.9],
            "train_loss": [0.7, 0.6],
            "auc": [0.6, 0.7],
        }
        write_table(pa.table(trajectory), directory / "trajectory.parquet")
        return self.loop.publish("policy", "search", ["dataset"], params={"search": {"kind": "autoloss"}})

    def model(self, model: Model, name: str = "model", classes: Sequence[str] | None = None) -> Path:
        directory = self.loop.folder(name)
        write_served(directory, model.encoders, model.table_RW, model.weight, classes or self.classes)
        history = {"epoch": pa.array([0, 1], pa.int32()), "train_loss": [None, 0.4], "auc": [0.6, 0.7]}
        write_table(pa.table(history), directory / "history.parquet")
        document = {
            "training": ClassificationTraining().model_dump(mode="json"),
            "warm_start": {"from": "search", "champion_sha256": None, "tensors": {}},
            "warm_check": None,
            "best_epoch": 1,
            "epochs": 1,
        }
        (directory / "training.json").write_text(json.dumps(document))
        return self.loop.publish(name, "retrain", ["dataset", "policy"] if name == "model" else [])

    def params(self, **changes: Any) -> EvaluateClassifierParams:
        return EvaluateClassifierParams(
            evaluation=ExampleEvaluation(**{"batch_size": 7, **changes.pop("evaluation", {})}),
            promotion=ExamplePromotion(**{"resamples": 200, **changes}),
            model="toy",
            tracking_uri=f"sqlite:///{self.loop.root}/mlflow.db",
        )

    def evaluate(self, **changes: Any) -> Path:
        """Run the stage."""
        output = self.loop.folder("evaluation")
        run(self.params(**changes), self.inputs, output, Context(None))  # type: ignore[arg-type]
        return output
