"""A study of a small synthetic world of clicks."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.core.policy import TRAJECTORY_FILE, Policy
from components.metrics.classification import measure
from components.study.losses.conducting import Results
from components.study.losses.grid import Cell, recipe_of
from components.study.losses.schema import LossesStudy
from components.study.running import Outcome

RECIPE = """\
name: tiny
task: classification
source: {kind: synthetic, num_examples: 2000, num_users: 100, num_items: 50, num_classes: 2}
training: {epochs: 2, batch_size: 200, learning_rate: 0.01, device: cpu}
promotion: {limits: {auc: {min: 0.99}}, guardrails: [{metric: auc}]}
"""
MLP = {"hidden": [8], "dropout": 0}


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(RECIPE)
    (tmp_path / "other.yaml").write_text(RECIPE.replace("tiny", "other"))
    shared = {"per_example": False, "gumbel": False, "every": 1}
    return {
        "name": "trial",
        "compares": "losses",
        "workspace": str(tmp_path / "studies"),
        "data": {"tiny": {"recipe": str(recipe)}, "other": {"recipe": str(tmp_path / "other.yaml")}},
        "models": {
            "DeepFM": {"kind": "deepfm", "dim": 4, "mlp": MLP},
            "NFM": {"kind": "nfm", "dim": 4, "mlp": MLP},
        },
        "methods": {
            "Focal": {"loss": {"kind": "focal"}},
            "CE": {"loss": {"kind": "cross_entropy"}},
            "BOHB": {"search": {"kind": "bohb", "trials": 2, "epochs": 2}},
            "DARTS": {"search": {"kind": "autoloss", **shared}},
            "SLF": {"search": {"kind": "autoloss", "batches": "train", "every": 1}},
            "AutoLoss": {"search": {"kind": "autoloss", "every": 3}},
            "AL-1": {"loss": {"kind": "weighted"}},
            "AL-2": {"search": {"kind": "autoloss", "gumbel": False, "every": 3}},
        },
        "ours": "AutoLoss",
        "comparison": {
            "data": ["tiny"],
            "models": ["DeepFM"],
            "methods": ["Focal", "CE", "BOHB", "DARTS", "SLF", "AutoLoss"],
        },
        "ablations": {"data": ["tiny"], "models": ["DeepFM"], "methods": ["AL-1", "AL-2", "AutoLoss"]},
        "transfers": [
            {
                "from": {"data": "tiny", "model": "DeepFM"},
                "to": [{"data": "tiny", "model": "NFM"}, {"data": "other", "model": "DeepFM"}],
                "methods": ["CE", "SLF", "AutoLoss"],
            }
        ],
        "updates": {"data": ["tiny"], "models": ["DeepFM"], "every": [1, 3]},
        "seeds": [1, 2],
    }


@pytest.fixture
def study(document: dict[str, Any]) -> LossesStudy:
    return LossesStudy.model_validate(document)


LABELS = np.arange(120) % 3 // 2  # a third are of class 1
COLUMNS = ("alpha", "probability")
LOSSES = {"focal": 0.2, "kl": 0.8, "hinge": 0.7, "cross_entropy": 0.6}
ALPHA = {"focal": 0.1, "kl": 0.2, "hinge": 0.3, "cross_entropy": 0.4}


@dataclass
class World:
    """Results that are made by hand: what a cell predicts, how long it took."""

    study: LossesStudy
    root: Path
    results: Results = field(default_factory=Results)

    def put(
        self, cell: Cell, probability_N: np.ndarray, *, search: float = 0.0, retrain: float = 1.0
    ) -> Outcome:
        """`search` and `retrain` are seconds, of three epochs each; no search takes none."""
        place = Path(tempfile.mkdtemp(dir=self.root))
        probability_NC = np.column_stack([1 - probability_N, probability_N])
        flat = pa.array(probability_NC.reshape(-1))
        vectors = pa.FixedSizeListArray.from_arrays(flat, 2)
        rows = np.arange(len(LABELS))
        table = pa.table({"row": rows, "label": LABELS.astype(np.int32), "probability": vectors})
        pq.write_table(table, place / "per_example.parquet")
        if search:
            decision = {"alpha": ALPHA}
            Policy(kind="autoloss", patch={}, decision=decision, best_epoch=1, epochs=3).write(place)
            columns = {f"{column}_{kind}": [0.25, a, a] for column in COLUMNS for kind, a in ALPHA.items()}
            columns |= {f"loss_{kind}": [loss] * 3 for kind, loss in LOSSES.items()}
            trajectory = pa.table({"epoch": pa.array([1, 2, 3], pa.int32()), **columns})
            pq.write_table(trajectory, place / TRAJECTORY_FILE)
        metrics = {
            "search": {"training_seconds": search, "epochs": 3.0 if search else 0.0},
            "retrain": {"training_seconds": retrain, "epochs": 3.0},
            "evaluate": measure(probability_NC, LABELS),
        }
        outcome = Outcome({"evaluation": str(place), "policy": str(place)}, metrics)
        self.results.outcomes[cell] = outcome
        self.results.recipes[cell] = recipe_of(self.study, cell, policy=str(place))
        return outcome


def spread(by: float, seed: int = 0) -> np.ndarray:
    """Predictions that are the better the larger `by` is, by AUC and by log loss; each seed's are a little
    different."""
    noise_N = np.random.default_rng(seed).normal(0, 1, len(LABELS))
    return 1 / (1 + np.exp(-by * np.where(LABELS == 1, 1, -1) - noise_N))


@pytest.fixture
def world(study: LossesStudy, tmp_path: Path) -> World:
    """Nothing ran yet."""
    return World(study, tmp_path)
