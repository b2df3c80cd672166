"""MovieLens 100K as a Kubeflow pipeline, run for real by KFP's local Docker runner, against the process path.

The workspace and the source lie in S3, the registry is an MLflow server. kfp has an environment of its own:
`make test` names its Python in RECLOOP_KUBEFLOW_PYTHON.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from components.catalog import STAGES
from tests.services import S3Server

pytestmark = [pytest.mark.containers, pytest.mark.realdata, pytest.mark.slow]

_PROJECT = Path(__file__).parents[2]
_WAIT_S = 1500
_BUCKET = "kubeflow-runs"
_SETTINGS = (f"data=s3://{_BUCKET}/deliveries/ml-100k", "epochs=5", "orchestration.retries=0")
_ANY_MODEL = ("promotion.floors={}", "promotion.beat=[]")


@dataclass(frozen=True)
class Told:
    """What one run told KFP: task → its executor output."""

    code: int
    outputs: Mapping[str, dict[str, Any]]
    pages: Path

    def metadata(self, stage: str, artifact: str) -> dict[str, Any]:
        (made,) = self.outputs[stage]["artifacts"][artifact]["artifacts"]
        metadata: dict[str, Any] = made["metadata"]
        return metadata

    @property
    def message(self) -> str:
        """What the exit handler said."""
        return str(self.outputs["conclude"]["parameterValues"]["message"])


class Runs:
    """Runs the recipe, each way in a workspace and under a model's name of its own."""

    def __init__(self, environment: Mapping[str, str], images: Mapping[str, str], root: Path) -> None:
        self._environment = {**os.environ, **environment, "OMP_NUM_THREADS": "1"}
        self._images = images
        self._root = root

    def process(self) -> dict[str, dict[str, Any]]:
        """Stage → its record, after `recloop run`."""
        command = ["-c", "from components.cli import main; main()", "run", "ml-100k", "--json", "--quiet"]
        ran = self._run(sys.executable, [*command, *self._overrides("process", *_ANY_MODEL)], "process")
        assert ran.returncode == 0, ran.stderr
        return {stage["stage"]: stage for stage in json.loads(ran.stdout)["stages"]}

    def kubeflow(self, name: str, *overrides: str) -> Told:
        """What KFP's local runner was told."""
        images = [f"orchestration.images.{image}={self._images[image]}" for image in ("data", "training")]
        outputs = self._root / name
        command = ["-m", "pipelines.run", "ml-100k", "--outputs", str(outputs)]
        python = os.environ["RECLOOP_KUBEFLOW_PYTHON"]
        ran = self._run(python, [*command, *self._overrides("kubeflow", *images, *overrides)], "kubeflow")
        print(ran.stdout, ran.stderr)
        (run,) = outputs.glob("ml-100k-*")
        found = {
            file.parent.name: json.loads(file.read_text()) for file in run.glob("*/executor_output.json")
        }
        return Told(ran.returncode, found, run)

    def _overrides(self, model: str, *more: str) -> list[str]:
        overrides = (*_SETTINGS, f"registry.model=ml-100k-{model}", *more)
        return [word for override in overrides for word in ("--set", override)]

    def _run(self, python: str, arguments: list[str], workspace: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python, *arguments],
            cwd=_PROJECT,
            env={**self._environment, "RECLOOP_WORKSPACE": f"s3://{_BUCKET}/{workspace}"},
            capture_output=True,
            text=True,
            timeout=_WAIT_S,
        )


@pytest.fixture(scope="module")
def runs(
    s3_server: S3Server,
    mlflow_server: str,
    images: Mapping[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Runs:
    if not os.environ.get("RECLOOP_KUBEFLOW_PYTHON"):
        pytest.skip(
            "RECLOOP_KUBEFLOW_PYTHON does not name the Python of an environment with recloop[kubeflow]"
        )
    data = os.environ.get("RECLOOP_TEST_DATA")
    if not data:
        pytest.skip("RECLOOP_TEST_DATA does not name the folder with the public data sets")
    environment = {**s3_server.environment, "MLFLOW_TRACKING_URI": mlflow_server}
    client = boto3.client(
        "s3",
        endpoint_url=s3_server.endpoint,
        region_name=environment["AWS_DEFAULT_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
    file = Path(data) / "ml-100k" / "ml-100k.inter"
    client.upload_file(str(file), s3_server.bucket(_BUCKET), "deliveries/ml-100k/ml-100k.inter")
    return Runs(environment, images, tmp_path_factory.mktemp("kubeflow"))


@pytest.fixture(scope="module")
def process(runs: Runs) -> dict[str, dict[str, Any]]:
    return runs.process()


@pytest.fixture(scope="module")
def kubeflow(runs: Runs) -> Told:
    return runs.kubeflow("first", *_ANY_MODEL)


def test_the_same_bytes_as_the_process_path(process: dict[str, dict[str, Any]], kubeflow: Told) -> None:
    assert kubeflow.code == 0
    for spec in STAGES[:4]:
        told = kubeflow.metadata(spec.name, spec.output)
        assert told["sha256"] == process[spec.name]["sha256"], spec.output
        assert kubeflow.outputs[spec.name]["parameterValues"] == {
            "uri": told["uri"],
            "sha256": told["sha256"],
        }
        assert told["uri"].startswith(f"s3://{_BUCKET}/kubeflow/")


def test_the_same_metrics_to_the_last_digit(process: dict[str, dict[str, Any]], kubeflow: Told) -> None:
    for spec in STAGES:
        expected = {
            name: value for name, value in process[spec.name]["metrics"].items() if "second" not in name
        }
        told = kubeflow.metadata(spec.name, spec.output)
        assert {name: told[name] for name in expected} == expected, spec.name


def test_the_ui_gets_the_report_and_the_outcome(kubeflow: Told) -> None:
    assert "ml-100k" in (kubeflow.pages / "evaluate" / "report").read_text()
    assert kubeflow.message.startswith("recloop SUCCEEDED ml-100k run ")
    assert "version 1 of ml-100k-kubeflow was made champion, ndcg@20 0." in kubeflow.message


def test_a_failed_gate_ends_the_run_and_is_told(runs: Runs, kubeflow: Told) -> None:
    """On the way, what the first run has done is skipped."""
    failed = runs.kubeflow("second", "promotion.floors={ndcg@20: 0.99}")
    assert failed.code == 1
    assert {failed.metadata(spec.name, spec.output)["status"] for spec in STAGES[:4]} == {"skipped"}
    assert "register" not in failed.outputs
    assert failed.message.startswith("recloop FAILED ml-100k run ")
    assert "at evaluate: GateFailed: " in failed.message
    assert failed.message.endswith("(trying again will not help)")
