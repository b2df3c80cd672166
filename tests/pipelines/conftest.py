"""The pipelines of Kubeflow. These tests run in the environment that holds kfp, and no other does."""

import json
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

if find_spec("kfp") is None:
    collect_ignore_glob = ["test_*.py"]

RECIPES = Path(__file__).parents[2] / "pipelines" / "recipes"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever the developer's environment says, a test's workspace is its own."""
    monkeypatch.setenv("RECLOOP_WORKSPACE", str(tmp_path / "workspace"))
    for name in ("MLFLOW_TRACKING_URI", "RECLOOP_HOME", "RECLOOP_RUN_ID", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def executor_input(tmp_path: Path) -> Callable[..., str]:
    """What KFP passes to a task: its values, and where its outputs go, below `tmp_path / "kfp"`."""
    root = tmp_path / "kfp"

    def describe(values: Mapping[str, Any] | None = None, artifacts: tuple[str, ...] = ()) -> str:
        outputs = {
            name: {"artifacts": [{"name": name, "uri": str(root / name), "type": {"schemaTitle": "x"}}]}
            for name in artifacts
        }
        return json.dumps(
            {
                "inputs": {"parameterValues": dict(values or {})},
                "outputs": {"artifacts": outputs, "outputFile": str(root / "executor_output.json")},
            }
        )

    return describe


@pytest.fixture
def executor_output(tmp_path: Path) -> Callable[[], dict[str, Any]]:
    """What the task left for KFP."""
    return lambda: json.loads((tmp_path / "kfp" / "executor_output.json").read_text())
