"""A study of a small synthetic world."""

from pathlib import Path
from typing import Any

import pytest

from components.study.samplers.schema import SamplersStudy

RECIPE = """\
name: tiny
source: {kind: synthetic, num_users: 120, num_items: 60, interactions_per_user: 15, num_clusters: 4}
prepare: {core: 2}
training: {epochs: 4, batch_size: 256, learning_rate: 0.01, validate_every: 2, device: cpu}
"""


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(RECIPE)
    return {
        "name": "trial",
        "workspace": str(tmp_path / "studies"),
        "data": {"tiny": {"recipe": str(recipe)}},
        "models": {
            "MF": {"kind": "mf", "dim": 8},
            "LightGCN": {"kind": "lightgcn", "dim": 8, "num_layers": 2},
        },
        "samplers": {
            "RNS": {"kind": "uniform"},
            "PNS": {"kind": "popularity"},
            "DNS": {"kind": "dns", "pool_size": 4},
            "MixGCF": {"kind": "mixgcf", "num_candidates": 4},
        },
        "candidates": {"names": ["RNS", "PNS", "DNS"], "size": 2, "race": {"epochs": 2}},
        "negatives": [2],
        "spaces": [["RNS", "PNS"], ["RNS", "PNS", "DNS"]],
        "random_start": True,
        "seeds": [1, 2],
    }


@pytest.fixture
def study(document: dict[str, Any]) -> SamplersStudy:
    return SamplersStudy.model_validate(document)
