"""What the model artifact of any task tells of its training."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from components.core.policy import WEIGHTS_FILE
from components.core.recipe import EpochTraining
from components.data.contracts.curves import curves_schema, expect_curves
from components.data.contracts.examination import Examination, Fact
from components.data.contracts.warm_start import warm_start_gates
from components.data.contracts.weights import weight_facts
from components.data.document import read_keys

TRAINING_FILE: Final = "training.json"
HISTORY_FILE: Final = "history.parquet"
_WARM_STARTS: Final = {"champion", "search", "none"}
_STARTS: Final = tuple(f"warm_start.{key}" for key in ("from", "champion_sha256", "tensors"))
_KEYS: Final = ("training", *_STARTS, "warm_check", "best_epoch", "epochs")


def read_training(exam: Examination, section: type[EpochTraining], sizes: Collection[str]) -> dict[str, Any]:
    """The document of the training, with its section of a task and with what it tells of the data's sizes."""

    def read(path: Path) -> dict[str, Any]:
        document = read_keys(path, [*_KEYS, *sizes])
        section.model_validate(document["training"])  # a ValidationError is a ValueError
        return document

    return exam.document(TRAINING_FILE, read)


def read_history(exam: Examination) -> pa.Table:
    """The history's table."""
    return exam.table(HISTORY_FILE, curves_schema)


def examine_training(
    exam: Examination, output: Path, training: Mapping[str, Any], section: EpochTraining, history: pa.Table
) -> None:
    """Check the history, the weights, and how the training began."""
    expect_curves(exam, HISTORY_FILE, history)
    facts: dict[str, Fact] = {
        "best_epoch": (training["best_epoch"], 0, training["epochs"]),
        "warm_start is known": (training["warm_start"]["from"] in _WARM_STARTS, 1, 1),
    }
    exam.facts(TRAINING_FILE, facts)
    exam.gate(warm_start_gates(training, section))
    exam.facts(WEIGHTS_FILE, weight_facts(output / WEIGHTS_FILE, expected=True))
