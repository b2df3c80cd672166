"""Six stages that do nearly nothing, and go wrong when $FAKE says so: `stage=kind of failure`."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from components.core.errors import GateFailedError
from components.core.stage import Validation

METRICS = {
    "evaluate": {"ndcg@20": 0.25, "recall@20": 0.5, "promote": 1.0},
    "register": {"version": 3.0, "promoted": 1.0},
}
OF_EXAMPLES = {"auc": 0.75, "logloss": 0.5, "promote": 1.0}  # of an evaluation
FILES = {
    "evaluate": {
        "verdict.json": {"promote": True, "reason": "it is better"},
        "report.html": "a page",
    },
    "register": {"registration.json": {"model": "toy", "version": "3", "promoted": True}},
}


def _stage(name: str) -> Callable[..., Mapping[str, float]]:
    def run(params: Any, inputs: Mapping[str, Path], output: Path, context: Any) -> Mapping[str, float]:
        stage, _, failure = os.environ.get("FAKE", "").partition("=")
        failure, _, epochs = failure.partition(" of ")  # retrain alone has epochs
        if stage == name and (not epochs or params.training.epochs == int(epochs)):
            if failure == "gate":
                raise GateFailedError("model quality: the model is not good enough")
            if failure == "interrupt":
                raise KeyboardInterrupt
            raise RuntimeError("something [bold]odd[/bold]\nhappened")
        for file, content in FILES.get(name, {"x.json": name}).items():
            (output / file).write_text(json.dumps(content))
        if (name, params.task) == ("evaluate", "classification"):
            return OF_EXAMPLES
        return METRICS.get(name, {"rows": 1234567.0, "seconds": 1.0})

    return run


ingest, prepare, search = _stage("ingest"), _stage("prepare"), _stage("search")
retrain, evaluate, register = _stage("retrain"), _stage("evaluate"), _stage("register")


def contract(output: Path, params: Any, inputs: Mapping[str, Path], docs: Path) -> Validation:
    return Validation(tables={}, summary={})
