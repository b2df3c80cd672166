"""A recipe that a laptop finishes in seconds, and how long a test waits at most."""

import os
from pathlib import Path
from typing import Final

import pytest

WAIT_S: Final = 300.0

TINY: Final = """\
name: tiny
parameters:
  seed: {default: 5, description: of the synthetic world and of training}
seed: ${seed}
source: {kind: synthetic, num_users: 150, num_items: 80, interactions_per_user: 20, num_clusters: 4}
prepare: {core: 3}
search: {kind: autosample, epochs: 2, samplers: [{kind: uniform}, {kind: popularity}]}
training: {model: {kind: mf, dim: 8}, learning_rate: 0.01, batch_size: 256, epochs: 3, device: cpu}
promotion: {floors: {ndcg@20: 0.01}, beat: []}
orchestration: {retries: 2, retry_delay_s: 1, max_retry_delay_s: 2}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with recipes/tiny.yaml."""
    root = tmp_path_factory.mktemp("e2e")
    (root / "recipes").mkdir()
    (root / "recipes" / "tiny.yaml").write_text(TINY)
    return root


@pytest.fixture(scope="module")
def environment(place: Path) -> dict[str, str]:
    """The environment of a child process that works in `place`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    clean.pop("MLFLOW_TRACKING_URI", None)
    return clean | {
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
        "RECLOOP_RECIPES": str(place / "recipes"),
        "RECLOOP_WORKSPACE": str(place / "workspace"),
    }
