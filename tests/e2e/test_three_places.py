"""What a run came to is the same in its report and artifacts, in MLflow, and in Airflow."""

import html
import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from components.catalog import STAGES
from components.core.gates import Gate, gates_of, summary_of
from components.core.manifest import Manifest, read_manifest
from components.registry.connection import connect
from components.registry.publishing import plain_name

from .conftest import WAIT_S

pytestmark = [pytest.mark.airflow, pytest.mark.slow]
# one gate warns, and one holds the first model back: no list is shown to all alike
SPOKEN = [
    "quality.delivery.concentration={max: 0.0001, severity: warn}",
    "promotion.bounds={gini@20: {max: 0.0}}",
]
JUDGED = [spec.name for spec in STAGES if spec.name != "register"]  # it tells of the others
OUTPUTS = {spec.name: spec.output for spec in STAGES}


@dataclass
class Run:
    """A DAG run, and what it left in the three places.

    Attributes:
        said: stage → what its task returned; `events`: Asset → extra of its event.
    """

    log: str
    manifests: Mapping[str, Manifest]
    said: Mapping[str, Mapping[str, Any]]
    events: Mapping[str, Mapping[str, Any]]
    mlflow: Any
    version: Any

    @property
    def gates(self) -> dict[str, list[Gate]]:
        """Stage → its gates, as its manifest has them."""
        return {stage: gates_of(manifest.validation) for stage, manifest in self.manifests.items()}

    def file(self, stage: str, name: str) -> str:
        return Path(self.said[stage]["uri"], name).read_text()


@pytest.fixture(scope="module")
def finished(place: Path, environment: dict[str, str]) -> Run:
    """A run of the tiny recipe, as Airflow's database, MLflow's and the workspace tell of it."""
    command = [sys.executable, "-m", "dags.run", str(place / "recipes" / "tiny.yaml")]
    command += ["--airflow-home", str(place / "airflow")]
    for override in SPOKEN:
        command += ["--set", override]
    done = subprocess.run(
        command, env=environment, cwd=place, capture_output=True, text=True, check=False, timeout=WAIT_S
    )
    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(place / "airflow" / "airflow.db")) as database:
        said = dict(database.execute("SELECT task_id, value FROM xcom WHERE key = 'return_value'"))
        events = dict(
            database.execute(
                "SELECT asset.name, asset_event.extra FROM asset_event JOIN asset ON asset.id = asset_id"
            )
        )
    returned = {stage: json.loads(said[stage]) for stage in OUTPUTS}
    client = connect(f"sqlite:///{place}/workspace/mlflow.db")
    version = client.get_model_version_by_alias("tiny", "challenger")
    return Run(
        log=done.stdout + done.stderr,
        manifests={stage: read_manifest(value["uri"]) for stage, value in returned.items()},
        said=returned,
        events={name: json.loads(extra) for name, extra in events.items()},
        mlflow=client,
        version=version,
    )


def test_gates_are_the_same_everywhere(finished: Run) -> None:
    spoken = {gate.outcome for gates in finished.gates.values() for gate in gates}
    assert spoken == {"passed", "warned", "held"}
    for stage, gates in finished.gates.items():  # (c) Airflow
        assert finished.said[stage]["gates"] == summary_of(gates)
        for gate in gates:
            line = f"gate {gate.outcome}: {gate.subject}: {gate.told or gate.name}"
            assert (line in finished.log) == (not gate.passed)
    judged = [(stage, gate) for stage in JUDGED for gate in finished.gates[stage]]
    metrics = finished.mlflow.get_run(finished.version.run_id).data.metrics  # (b) MLflow
    numbers = {
        plain_name(f"gate/{stage}/{gate.subject}/{gate.name}"): gate.value
        for stage, gate in judged
        if gate.value is not None
    }
    assert {name: metrics[name] for name in metrics if name.startswith("gate/")} == numbers
    place = finished.mlflow.download_artifacts(finished.version.run_id, "gates.json")
    table = json.loads(Path(place).read_text())
    found = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    rows = {(row["stage"], row["subject"], row["name"]): row["outcome"] for row in found}
    assert rows == {(stage, gate.subject, gate.name): gate.outcome for stage, gate in judged}
    counts = summary_of(gate for _, gate in judged)
    assert finished.version.tags["recloop.gates_passed"] == str(counts["passed"])
    for outcome in ("warned", "held", "stopped"):
        assert finished.version.tags[f"recloop.gates_{outcome}"] == str(len(counts[outcome]))
    verdict = json.loads(finished.file("evaluate", "verdict.json"))  # (a) the verdict and the report
    model_gates = [Gate.model_validate(_own(gate)) for gate in verdict["gates"]]
    assert model_gates == finished.gates["evaluate"]


def _own(gate: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in gate.items() if key != "outcome"}


def test_metrics_are_the_same_everywhere(finished: Run) -> None:
    measured = finished.manifests["evaluate"].metrics
    assert finished.said["evaluate"]["metrics"] == measured
    logged = finished.mlflow.get_run(finished.version.run_id).data.metrics
    report = finished.file("evaluate", "report.html")
    ranking = {name: value for name, value in measured.items() if "@" in name}
    assert ranking
    for name, value in ranking.items():
        assert logged[plain_name(name)] == value
        assert logged[plain_name(f"evaluate/{name}")] == value
    assert f"{ranking['ndcg@20']:.4f}" in report


def shown(page: str) -> str:
    """A page's text in small letters, with plain minus signs."""
    text = html.unescape(re.sub(r"<[^>]+>", " ", page)).replace("−", "-")
    return re.sub(r"\s+", " ", text).lower()


def test_the_decision_is_the_same_everywhere(finished: Run) -> None:
    verdict = json.loads(finished.file("evaluate", "verdict.json"))
    registration = json.loads(finished.file("register", "registration.json"))
    report = shown(finished.file("evaluate", "report.html"))
    assert verdict["promote"] is registration["promoted"] is False
    assert finished.said["register"]["metrics"]["promoted"] == 0
    assert finished.version.tags["recloop.verdict"] == "keep"
    assert registration["version"] == str(finished.version.version)
    assert "champion" not in finished.mlflow.get_registered_model("tiny").aliases
    assert all(reason.lower() in report for reason in verdict["reason"].split("; "))
    for stage, output in OUTPUTS.items():
        name = f"recloop/tiny/{output}"
        if name in finished.events:
            assert finished.events[name] == finished.said[stage]
    assert set(finished.events) == {"recloop/tiny/dataset", "recloop/tiny/model"}  # no new champion
    for name in ("dataset", "model", "evaluation"):
        stage = next(spec.name for spec in STAGES if spec.output == name)
        assert finished.version.tags[f"recloop.{name}_sha256"] == finished.manifests[stage].sha256
        assert finished.version.tags[f"recloop.{name}_uri"] == finished.said[stage]["uri"]


def test_airflow_says_where_the_pages_are(finished: Run) -> None:
    pages = [page for value in finished.said.values() for page in value["pages"].values()]
    assert finished.said["evaluate"]["pages"]["report"].endswith("/report.html")
    assert finished.said["ingest"]["pages"]["data_docs"].endswith(".checks/data_docs/index.html")
    for page in pages:
        assert Path(page).is_file()
        assert page in finished.log


def test_lineage_leads_from_the_version_to_the_world(
    finished: Run, place: Path, environment: dict[str, str]
) -> None:
    command = [sys.executable, "-c", "from components.cli import main; main()"]
    answer = subprocess.run(
        [*command, "lineage", "tiny@challenger", "--verify", "--json"],
        env=environment, cwd=place, capture_output=True, text=True, check=False, timeout=WAIT_S,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    found = {one["stage"]: one["sha256"] for one in json.loads(answer.stdout)["ancestors"].values()}
    made = {stage: manifest.sha256 for stage, manifest in finished.manifests.items() if stage != "register"}
    assert found == made
