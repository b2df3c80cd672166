"""Airflow runs every stage in a container, and comes to what the process path comes to."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import docker
import pytest
import yaml
from docker.errors import NotFound

from components.catalog import STAGES
from components.core.manifest import read_manifest
from components.core.recipe.reading import read_recipe
from components.core.runs import RunRecord, read_runs
from tests.services import S3Server

pytestmark = [pytest.mark.containers, pytest.mark.airflow, pytest.mark.slow]
PROJECT = Path(__file__).parents[2]
RUN_S = 900
RECIPE: dict[str, Any] = {
    "name": "tiny",
    "source": {"kind": "synthetic", "num_users": 300, "num_items": 150, "interactions_per_user": 30},
    "prepare": {"core": 5},
    "search": {
        "kind": "autosample",
        "epochs": 4,
        "samplers": [{"kind": "uniform"}, {"kind": "popularity"}, {"kind": "dns", "pool_size": 4}],
    },
    "training": {"model": {"kind": "mf", "dim": 16}, "learning_rate": 5e-3, "epochs": 4, "device": "cpu"},
}
LONG: dict[str, Any] = {
    "search": {**RECIPE["search"], "epochs": 500, "patience": 500},
    "source": {"kind": "synthetic", "num_users": 1000, "num_items": 500},
}


@dataclass(frozen=True)
class Loops:
    """Runs a recipe under Airflow with containers, and as processes."""

    folder: Path
    images: Mapping[str, str]

    def write(self, **sections: Any) -> Path:
        """A recipe file; `orchestration` is filled in."""
        how = {
            "runner": "docker",
            "retries": 2,
            "retry_delay_s": 1,
            "images": {"data": self.images["data"], "training": self.images["training"]},
            "resources": {spec.name: {"cpu": 1, "memory_gib": 2} for spec in STAGES},
            "docker": {"network": "host"},
        }
        file = self.folder / "tiny.yaml"
        file.write_text(yaml.safe_dump({**RECIPE, **sections, "orchestration": how}))
        return file

    def command(self, file: Path, *overrides: str) -> list[str]:
        """One DAG run."""
        sets = [part for override in overrides for part in ("--set", override)]
        home = str(self.folder / "airflow")
        return [sys.executable, "-m", "dags.run", str(file), "--airflow-home", home, *sets]

    def airflow(self, file: Path, *overrides: str) -> tuple[RunRecord, str]:
        """A DAG run's record, and what was said."""
        said = run(self.command(file, *overrides))
        return newest(file, *overrides), said

    def process(self, file: Path, *overrides: str) -> RunRecord:
        """The record of a run without Airflow or containers."""
        sets = [part for override in overrides for part in ("--set", override)]
        run([sys.executable, "-c", "from components.cli import main; main()", "run", str(file), *sets])
        return newest(file, *overrides)


def run(command: list[str]) -> str:
    done = subprocess.run(
        command,
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def newest(file: Path, *overrides: str) -> RunRecord:
    return read_runs(read_recipe(file, overrides))[0]


def hashes(record: RunRecord) -> dict[str, str]:
    """Of what does not tell where it was made."""
    return {stage.stage: stage.sha256 for stage in record.stages[:4]}


def measured(record: RunRecord) -> dict[str, float]:
    """Every metric of the test users."""
    found = {name: value for name, value in (record.stages[4].metrics or {}).items() if "@" in name}
    assert "ndcg@20" in found
    return found


def engine_client(url: str) -> docker.DockerClient:
    return docker.DockerClient(base_url=url)


def left_over(url: str) -> list[str]:
    found = engine_client(url).containers.list(all=True, filters={"label": "recloop.recipe=tiny"})
    return [container.name for container in found]


def one_thread(patch: pytest.MonkeyPatch) -> None:
    """As results are compared to the last digit."""
    patch.setenv("OMP_NUM_THREADS", "1")
    patch.delenv("RECLOOP_WORKSPACE", raising=False)


def lead_to(s3_server: S3Server, mlflow_server: str, patch: pytest.MonkeyPatch) -> None:
    for name, value in s3_server.environment.items():
        patch.setenv(name, value)
    patch.setenv("MLFLOW_TRACKING_URI", mlflow_server)


@pytest.fixture
def loops(tmp_path: Path, images: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Loops:
    one_thread(monkeypatch)
    return Loops(tmp_path, images)


@pytest.fixture
def bucket(
    s3_server: S3Server, mlflow_server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> str:
    """A bucket of the test's own; the environment leads to it and to MLflow."""
    lead_to(s3_server, mlflow_server, monkeypatch)
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name)
    return s3_server.bucket(name[-60:].strip("-"))


def test_six_containers_come_to_the_same_bytes(loops: Loops, bucket: str, engine: str) -> None:
    file = loops.write()
    in_docker = f"workspace=s3://{bucket}/docker"
    in_docker_2 = "registry.model=tiny-docker"
    contained, said = loops.airflow(file, in_docker, in_docker_2)
    assert contained.status == "done"
    assert [stage.status for stage in contained.stages] == ["done"] * 6
    assert "search: epoch 1:" in said
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in said

    images = engine_client(engine).images
    for spec, stage in zip(STAGES, contained.stages, strict=True):
        manifest = read_manifest(stage.uri)
        image = images.get(loops.images[spec.image])
        known = {image.id, *(name.partition("@")[2] for name in image.attrs.get("RepoDigests") or ())}
        assert manifest.image_digest in known
    assert left_over(engine) == []

    plain = loops.process(file, f"workspace=s3://{bucket}/process", "registry.model=tiny-process")
    assert hashes(contained) == hashes(plain)
    assert measured(contained) == measured(plain)

    again, _ = loops.airflow(file, in_docker, in_docker_2)
    assert [stage.status for stage in again.stages] == ["skipped"] * 6
    assert [stage.uri for stage in again.stages] == [stage.uri for stage in contained.stages]


def test_a_workspace_and_a_source_on_disk(
    loops: Loops, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    workspace, deliveries = tmp_path / "workspace", tmp_path / "deliveries"
    workspace.mkdir()
    if os.geteuid() == 0:  # else the stages run as we do
        os.chown(workspace, 10001, 10001)
    deliveries.mkdir()
    for part in range(2):
        rows = (
            f"{user},{(user * 7 + step * step) % 60}" for user in range(part, 120, 2) for step in range(12)
        )
        (deliveries / f"part-{part}.csv").write_text("user_id,item_id\n" + "\n".join(rows) + "\n")
    source = {"kind": "files", "path": str(deliveries / "*.csv")}
    prepare = {"core": 3}
    file = loops.write(source=source, prepare=prepare, workspace=str(workspace))
    contained, _ = loops.airflow(file)
    assert contained.status == "done"
    assert (workspace / "mlflow.db").stat().st_uid == workspace.stat().st_uid
    plain = loops.process(file, f"workspace={tmp_path / 'process'}")
    assert hashes(contained) == hashes(plain)
    assert measured(contained) == measured(plain)
    assert left_over(engine) == []


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    hashes: Mapping[str, str]
    measured: Mapping[str, float]

    @classmethod
    def of(cls, record: RunRecord) -> "Outcome":
        return cls(hashes(record), measured(record))


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory,
    images: Mapping[str, str],
    s3_server: S3Server,
    mlflow_server: str,
) -> Outcome:
    """Of the long search."""
    with pytest.MonkeyPatch.context() as patch:
        one_thread(patch)
        lead_to(s3_server, mlflow_server, patch)
        loops = Loops(tmp_path_factory.mktemp("undisturbed"), images)
        workspace = f"workspace=s3://{s3_server.bucket('undisturbed')}/process"
        return Outcome.of(loops.process(loops.write(**LONG), workspace, "registry.model=undisturbed"))


@pytest.mark.parametrize(
    ("end", "ending"),
    [
        ("kill", ["ended by SIGKILL (exit code 137)"]),
        ("stop", ["search: told to stop: saved after", "(exit code 143)"]),
    ],
    ids=["kill", "stop"],
)
def test_an_ended_search_goes_on_from_its_checkpoint_in_s3(
    loops: Loops,
    bucket: str,
    engine: str,
    s3_server: S3Server,
    undisturbed: Outcome,
    end: str,
    ending: list[str],
) -> None:
    file = loops.write(**LONG)
    workspace, model = f"workspace=s3://{bucket}/docker", f"registry.model={end}"
    log = loops.folder / "run.log"
    with log.open("wb") as output:
        running = subprocess.Popen(
            loops.command(file, workspace, model), cwd=PROJECT, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        s3 = boto3.client("s3", endpoint_url=s3_server.endpoint)
        wait_for(lambda: has_checkpoint(s3, bucket), running, log)
        (search,) = engine_client(engine).containers.list(
            filters={"label": ["recloop.recipe=tiny", "recloop.stage=search"]}
        )
        with suppress(NotFound):  # the runner may have removed it already
            getattr(search, end)()
        assert running.wait(RUN_S) == 0, log.read_text()[-6000:]
    finally:
        running.kill()
        running.wait()
    said = log.read_text()
    for words in [*ending, "search: resumed after epoch"]:
        assert words in said
    assert Outcome.of(newest(file, workspace, model)) == undisturbed
    assert left_over(engine) == []


def has_checkpoint(s3: Any, bucket: str) -> bool:
    found = s3.list_objects_v2(Bucket=bucket, Prefix="docker/tiny/policy/").get("Contents", [])
    return any(entry["Key"].endswith("checkpoint/latest.json") for entry in found)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + RUN_S
    while not condition():
        assert process.poll() is None, log.read_text()[-6000:]
        assert time.monotonic() < deadline
        time.sleep(0.5)
