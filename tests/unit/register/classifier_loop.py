"""A small finished loop of a classifier, made by hand."""

from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from components.core.gates import Gate
from components.core.recipe import ClassificationTraining
from components.core.recipe.example_judgement import ExampleEvaluation, ExamplePromotion
from components.core.verdict import VERDICT_FILE, ExampleVerdict
from components.data.document import write_document
from components.data.parquet import write_table
from tests.unit.registry.classifiers import KINDS, TRAIN, TYPES, write_toy

CLASSES: Final = ("no", "yes")
TEST_ROWS: Final = (1, 3, 4, 5)
# what was delivered: the toy's train, and more of which some is in the test
DELIVERED: Final = {
    "item": [*TRAIN["item"], "new", "a"],
    "price": [*TRAIN["price"], 7.0, None],
    "genres": [*TRAIN["genres"], ["x", "new"], None],
}


def verdict(*, promote: bool = True, champion: bool = False) -> ExampleVerdict:
    """Over four examples; `other` is worse in everything."""
    gates = [
        Gate(name="logloss", subject="prior", value=0.3, low=0.0, passed=True, told="below the prior"),
        Gate(name="ece", subject="probabilities", value=0.2, high=0.1, severity="hold", passed=False),
    ]
    older = {"champion": 0.6, "difference": 0.2, "low": 0.1, "high": 0.3} if champion else {}
    compared = {
        "auc": {"challenger": 0.8, "other": 0.6, "difference": 0.2, "low": 0.1, "high": 0.3, "p_value": 0.01},
        "logloss": {
            "challenger": 0.4,
            "other": 0.7,
            "difference": -0.3,
            "low": -0.4,
            "high": -0.2,
            "p_value": 0.01,
        },
    }
    measures = {"auc": (0.8, 0.5), "logloss": (0.4, 0.7), "ece": (0.05, 0.0), "calibration": (1.25, 1.0)}
    return ExampleVerdict.model_validate(
        {
            "promote": promote,
            "reason": "it is better",
            "rule": "champion" if champion else "first",
            "metric": "auc",
            "margin": 0.0,
            "confidence": 0.95,
            "resamples": 2000,
            "challenger": 0.8,
            "champion": 0.6 if champion else None,
            "champion_version": "6" if champion else None,
            "classes": CLASSES,
            "num_examples": 4,
            "limits": {},
            "metrics": {
                name: {"challenger": ours, "prior": prior, "champion": 0.9 if champion else None}
                for name, (ours, prior) in measures.items()
            },
            "comparisons": dict.fromkeys((*(["champion"] if champion else []), "prior"), compared),
            "slices": [
                slice_of("item", "a|b", 150, "auc", 0.7) | older,
                slice_of("item", "c", 150, "logloss", 0.9),
                slice_of("genres", "x", 3, "logloss", None),
            ],
            "gates": gates,
        }
    )


def slice_of(field: str, value: str, examples: int, metric: str, found: float | None) -> dict[str, Any]:
    return {"field": field, "value": value, "examples": examples, "metric": metric, "challenger": found}


def make(loop: Any, found: ExampleVerdict) -> dict[str, Path]:
    """Artifact → its directory."""
    _interactions(loop)
    _dataset(loop)
    _policy(loop)
    _model(loop)
    evaluation = loop.folder("evaluation")
    write_document(found.document(), evaluation / VERDICT_FILE)
    write_document({"source": "f" * 64}, evaluation / "lineage.json")
    (evaluation / "report.html").write_text("<html></html>")
    sections = {"evaluation": ExampleEvaluation(), "promotion": ExamplePromotion()}
    params = {name: section.model_dump(mode="json") for name, section in sections.items()}
    loop.publish("evaluation", "evaluate", ["interactions", "dataset", "policy", "model"], params=params)
    return {name: loop.root / name for name in loop.manifests}


def _interactions(loop: Any) -> None:
    directory = loop.folder("interactions")
    columns = {name: pa.array(DELIVERED[name], TYPES[kind]) for name, kind in KINDS.items()}
    label = pa.array([0, 1, 0, 1, 0, 1], pa.int32())
    write_table(pa.table({"label": label, **columns}), directory / "interactions.parquet")
    profile = {
        "rows": 9,
        "rejected_rows": 3,
        "examples": 6,
        "duplicates": 1,
        "classes": {"no": 3, "yes": 3},
        "fields": {name: {"kind": kind, "nulls": 1, "distinct": 3} for name, kind in KINDS.items()},
        "time_range": None,
    }
    write_document(profile, directory / "profile.json")
    loop.publish("interactions", "ingest", params={"source": {"kind": "synthetic"}})


def _dataset(loop: Any) -> None:
    directory = loop.folder("dataset")
    write_table(pa.table({"row": pa.array(TEST_ROWS, pa.int64())}), directory / "test.parquet")
    encodings = {"item": "values", "price": "quantile", "genres": "hashed"}
    unknown = {"item": 0.25, "price": 0.0, "genres": 0.0}
    preparation = {
        "classes": list(CLASSES),
        "sizes": {"train": 4, "valid": 1, "test": 4},
        "split": {"kind": "random"},
        "fields": {
            name: {"encoding": encodings[name], "size": 4, "unknown": {"test": unknown[name]}, "missing": 0.5}
            for name in KINDS
        },
        "equal_across_parts": 1,
    }
    write_document(preparation, directory / "preparation.json")
    loop.publish("dataset", "prepare", ["interactions"])


def _policy(loop: Any) -> None:
    directory = loop.folder("policy")
    losses = [{"kind": "focal", "gamma": 2.0}, {"kind": "hinge"}]
    policy = {
        "kind": "autoloss",
        "patch": {"loss": {"kind": "weighted", "losses": losses}},
        "decision": {"alpha": {"focal": 0.25, "hinge": 0.75}, "auc": 0.7},
        "best_epoch": 2,
        "epochs": 3,
    }
    write_document(policy, directory / "policy.json")
    trajectory = {"epoch": pa.array([1, 2], pa.int32()), "alpha_focal": [0.5, 0.25], "auc": [0.6, 0.7]}
    write_table(pa.table(trajectory), directory / "trajectory.parquet")
    loop.publish("policy", "search", ["dataset"])


def _model(loop: Any) -> None:
    directory = loop.folder("model")
    write_toy(directory, CLASSES)
    write_table(
        pa.table({"epoch": pa.array([1], pa.int32()), "train_loss": [0.4], "auc": [0.7]}),
        directory / "history.parquet",
    )
    document = {
        "training": ClassificationTraining().model_dump(mode="json"),
        "warm_start": {"from": "search", "champion_sha256": None, "tensors": {}},
        "warm_check": None,
        "best_epoch": 1,
        "epochs": 1,
    }
    write_document(document, directory / "training.json")
    loop.publish("model", "retrain", ["dataset", "policy"])
