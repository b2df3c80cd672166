"""The very pods that are meant for Kubernetes, run by Podman's `kube play`."""

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.catalog import INGEST, PREPARE, SEARCH, STAGES
from components.core.recipe import Recipe
from components.core.recipe.reading import build_recipe
from components.core.runs import StageRecord, plan, read_record, record_place
from components.core.stage import StageSpec, execute
from dags.runners.pod import CONTAINER, pod_of
from tests.services import S3Server

pytestmark = [
    pytest.mark.containers,
    pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed"),
]
RUN = "manual__2026-01-01T00:00:00+00:00"
SECRET = "recloop-test-storage"  # noqa: S105  # its name
WAIT_S = 180


def podman(*arguments: str, given: str | None = None, check: bool = True) -> str:
    done = subprocess.run(
        ["podman", *arguments], input=given, capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    assert done.returncode == 0 or not check, f"podman {arguments}: {done.stderr}"
    return done.stdout.strip()


@pytest.fixture
def secret(s3_server: S3Server) -> Iterator[str]:
    """A Secret with what leads to the S3 server; in Podman's own form for those of Kubernetes."""
    encoded = {
        name: base64.b64encode(value.encode()).decode() for name, value in s3_server.environment.items()
    }
    podman("secret", "rm", SECRET, check=False)
    podman("secret", "create", SECRET, "-", given=json.dumps(encoded))
    yield SECRET
    podman("secret", "rm", SECRET)


def recipe_of(workspace: str, images: Mapping[str, str], secret: str) -> Recipe:
    document = {
        "name": "tiny",
        "workspace": workspace,
        "source": {"kind": "synthetic", "num_users": 200, "num_items": 100, "interactions_per_user": 20},
        "prepare": {"core": 5},
        "search": {"kind": "autosample", "epochs": 2},
        "training": {"model": {"kind": "mf", "dim": 8}, "epochs": 2, "device": "cpu"},
        "registry": {"tracking_uri": "http://127.0.0.1:9"},
        "orchestration": {
            "runner": "kubernetes",
            "images": {"data": images["data"], "training": images["training"]},
            "resources": {spec.name: {"cpu": 1, "memory_gib": 2} for spec in STAGES},
            "kubernetes": {"secrets": [secret], "image_pull_policy": "Never", "scratch_gib": 1},
        },
    }
    return build_recipe(document, place="here")


def play(pod: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Run a pod to its end; what Podman knows of its container."""
    file = folder / "pod.yaml"
    file.write_text(yaml.safe_dump(dict(pod)))
    container = f"{pod['metadata']['name']}-{CONTAINER}"
    try:
        podman("kube", "play", "--network", "host", str(file))
        podman("wait", container)
        found: dict[str, Any] = json.loads(podman("inspect", container))[0]
        found["logs"] = subprocess.run(
            ["podman", "logs", container], capture_output=True, text=True, check=True
        ).stderr
        return found
    finally:
        podman("pod", "rm", "--force", "--time", "0", pod["metadata"]["name"], check=False)
        for volume in pod["spec"]["volumes"]:
            podman("volume", "rm", volume["name"], check=False)


def test_pods_do_their_stages(
    s3_server: S3Server,
    images: Mapping[str, str],
    secret: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    recipe = recipe_of(f"s3://{s3_server.bucket('kube-play')}/workspace", images, secret)
    uris: dict[str, str] = {}
    for spec in (INGEST, PREPARE, SEARCH):
        record, container = run_as_pod(recipe, spec, uris, tmp_path)
        assert record.status == "done", container["logs"]
        assert container["State"]["ExitCode"] == 0
        assert container["Config"]["User"] == "10001:10001"
        assert container["EffectiveCaps"] in ([], None)
        assert container["HostConfig"]["ReadonlyRootfs"] is True
        assert "no-new-privileges" in container["HostConfig"]["SecurityOpt"]
        assert record.sha256 == run_here(recipe, spec, uris, tmp_path)
        uris[spec.output] = record.uri


def run_as_pod(
    recipe: Recipe, spec: StageSpec, uris: Mapping[str, str], folder: Path
) -> tuple[StageRecord, dict[str, Any]]:
    place = record_place(recipe, RUN, STAGES.index(spec), spec.name)
    container = play(pod_of(recipe, plan(recipe, spec, uris, place), RUN), folder)
    record = read_record(place)
    assert record is not None, container["logs"]
    return record, container


def run_here(recipe: Recipe, spec: StageSpec, uris: Mapping[str, str], folder: Path) -> str:
    """The content hash that the same stage comes to in this process, from the same inputs."""
    invocation = plan(recipe, spec, uris)
    output = str(folder / "here" / spec.output / "{key}")
    return execute(spec, invocation.params, invocation.inputs, output).sha256


def test_a_pod_that_cannot_reach_its_storage_says_so(
    images: Mapping[str, str], secret: str, tmp_path: Path
) -> None:
    recipe = recipe_of("s3://no-such-bucket/workspace", images, secret)
    container = play(pod_of(recipe, plan(recipe, INGEST, {}), RUN), tmp_path)
    assert container["State"]["ExitCode"] == 2
    assert "the bucket does not exist" in container["logs"]
