"""Containers: what they get, what they may do, and what becomes of an earlier try's."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker
import pytest
import requests
from airflow.providers.docker.hooks.docker import DockerHook

from components.catalog import INGEST, PREPARE, SEARCH
from components.core.containers import container_of, labels_of
from components.core.disk import user_on_disk
from components.core.errors import InfrastructureError, InvalidInputError, is_retryable
from components.core.recipe import Recipe
from components.core.recipe.reading import build_recipe
from components.core.runs import plan, record_place
from dags.runners import docker as runner
from dags.runners.base import Ended
from dags.runners.docker import DockerRunner, container_name

from .test_runner_contract import BASE_IMAGE, CONTEXT, Scripted, scripted

RUN = CONTEXT["run_id"]
LABEL = "recloop.recipe=confined"


def recipe_of(how: Mapping[str, Any] | None = None, **sections: Any) -> Recipe:
    document = {
        "name": "confined",
        "workspace": "s3://bucket/workspace",
        "source": {"kind": "synthetic"},
        "registry": {"tracking_uri": "http://127.0.0.1:9"},
        "orchestration": {
            "runner": "docker",
            "images": {"data": BASE_IMAGE, "training": BASE_IMAGE},
            **(how or {}),
        },
        **sections,
    }
    return build_recipe(document, place="here")


def test_resources_are_the_recipes_else_the_catalogues() -> None:
    recipe = recipe_of({"resources": {"search": {"cpu": 3.5, "shm_gib": 4}}}, training={"device": "cuda"})
    search, prepare = container_of(recipe, SEARCH), container_of(recipe, PREPARE)
    assert (search.cpu, search.memory_gib, search.gpus, search.shm_gib, search.threads) == (3.5, 8, 1, 4, 4)
    assert (prepare.cpu, prepare.memory_gib, prepare.gpus, prepare.shm_gib, prepare.threads) == (
        *(2, 4, 0),
        *(None, 2),
    )
    assert container_of(recipe_of(), SEARCH).gpus == 0


def test_labels_are_valid_however_long_a_runs_id_is() -> None:
    label = labels_of(recipe_of(), SEARCH, "manual__" + "a+b:" * 50)["recloop.run"]
    assert len(label) <= 63
    assert label[-1].isalnum()


def test_a_container_is_named_after_its_place() -> None:
    recipe, elsewhere = recipe_of(), recipe_of(workspace="s3://bucket/elsewhere")

    def name(recipe: Recipe, run: str) -> str:
        return container_name(plan(recipe, INGEST, {}, record_place(recipe, run, 0, "ingest")))

    assert name(recipe, RUN) == name(recipe, RUN)
    assert len({name(recipe, RUN), name(recipe, "another"), name(elsewhere, RUN)}) == 3


def test_an_engine_that_does_not_answer() -> None:
    recipe = recipe_of({"docker": {"url": "tcp://127.0.0.1:9"}})
    with pytest.raises(InfrastructureError, match=r"no container engine answers at tcp://127\.0\.0\.1:9"):
        DockerRunner(recipe, print).run(scripted("pass"), CONTEXT)


def mounts(recipe: Recipe) -> list[tuple[str, str | None, bool]]:
    found = runner._mounts(recipe, plan(recipe, INGEST, {}))
    return [(mount["Target"], mount["Source"], mount["ReadOnly"]) for mount in found]


def test_only_what_a_stage_needs_of_the_disk_is_mounted(tmp_path: Path) -> None:
    workspace, inside = tmp_path / "work", tmp_path / "work" / "in"
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "a[1].csv"
    file.touch()
    scratch = ("/tmp", None, False)  # noqa: S108
    assert mounts(recipe_of()) == [scratch]
    own = (str(workspace), str(workspace), False)
    registry = {"registry": {}, "workspace": str(workspace)}
    for path, expected in [
        (file, [(str(file), str(file), True)]),
        (tmp_path / "data" / "*" / "*.csv", [(str(tmp_path / "data"), str(tmp_path / "data"), True)]),
        (tmp_path / "none" / "x.csv", []),
        ("s3://bucket/data", []),
        (inside, []),
    ]:
        recipe = recipe_of(source={"kind": "files", "path": str(path)}, **registry)
        assert mounts(recipe) == [scratch, own, *expected]
    assert workspace.is_dir()


def test_a_workspace_that_the_images_user_cannot_write_to(tmp_path: Path) -> None:
    recipe = recipe_of(workspace=str(tmp_path))
    if os.geteuid() != 0:
        assert user_on_disk(recipe, "10001:10001") == f"{os.getuid()}:{tmp_path.stat().st_gid}"
        return
    with pytest.raises(InvalidInputError, match=rf"`chown -R 10001:10001 {tmp_path}`"):
        user_on_disk(recipe, "10001:10001")
    tmp_path.chmod(0o777)
    assert user_on_disk(recipe, "10001:10001") is None
    os.chown(tmp_path, 1234, 5678)
    assert user_on_disk(recipe, "10001:10001") == "1234:5678"


def test_a_registry_out_of_reach(tmp_path: Path) -> None:
    recipe = recipe_of(workspace=str(tmp_path), registry={"tracking_uri": "sqlite:////elsewhere/mlflow.db"})
    with pytest.raises(InvalidInputError, match=r"registry\.tracking_uri: got 'sqlite:////elsewhere"):
        runner._mounts(recipe, plan(recipe, INGEST, {}))


_LOOKS_AROUND = """\
import json, os, pathlib, sys
def writes(place):
    try:
        pathlib.Path(place, "x").write_text("x")
        return True
    except OSError:
        return False
status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
shm = os.statvfs("/dev/shm")
print(json.dumps({
    "uid": os.getuid(), "gid": os.getgid(), "root": writes("/"), "tmp": writes("/tmp"),
    "capabilities": int(status["CapBnd"], 16), "no_new_privileges": int(status["NoNewPrivs"]),
    "shm": shm.f_blocks * shm.f_frsize, "environment": dict(os.environ),
}), file=sys.stderr)
"""


@pytest.mark.containers
def test_a_container_may_do_nothing_but_its_work(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    monkeypatch.setenv("SHOP", "ours")
    monkeypatch.setenv("PRIVATE", "of the worker")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    client = docker.APIClient(base_url=engine)
    seen: list[Any] = []

    def on_line(line: str) -> None:
        (container,) = client.containers(all=True, filters={"label": [LABEL, "recloop.stage=search"]})
        seen.extend([json.loads(line), client.inspect_container(container["Id"])])

    how = {
        "resources": {"search": {"cpu": 1.5, "memory_gib": 0.5, "shm_gib": 0.25}},
        "docker": {"user": "12345:12346", "environment": ["SHOP"]},
    }
    base = scripted(_LOOKS_AROUND + "import time; time.sleep(1)")
    invocation = Scripted(SEARCH, base.params, {}, base.output, base.record, base.program)
    assert DockerRunner(recipe_of(how), on_line).run(invocation, CONTEXT).code == 0
    inside, outside = seen
    assert (inside["uid"], inside["gid"]) == (12345, 12346)
    assert (inside["root"], inside["tmp"]) == (False, True)
    assert (inside["capabilities"], inside["no_new_privileges"]) == (0, 1)
    assert inside["shm"] == 2**28
    environment = inside["environment"]
    assert (environment["AWS_SECRET_ACCESS_KEY"], environment["SHOP"]) == ("a-secret", "ours")
    assert "PRIVATE" not in environment
    assert environment["OMP_NUM_THREADS"] == "2"
    assert environment["RECLOOP_IMAGE_DIGEST"].startswith("sha256:")
    assert outside["Config"]["StopTimeout"] == 30
    limits = outside["HostConfig"]
    assert (limits["Memory"], limits["MemorySwap"]) == (2**29, 2**29)
    assert limits["CpuQuota"] / limits["CpuPeriod"] == 1.5
    assert outside["Config"]["Labels"].items() >= labels_of(recipe_of(), SEARCH, RUN).items()
    assert outside["Name"].lstrip("/") == container_name(invocation)


@pytest.mark.containers
def test_a_missing_image(engine: str) -> None:
    recipe = recipe_of({"images": {"data": "recloop-data:no-such-version"}})
    with pytest.raises(InvalidInputError, match=r"images\.data: .* has no 'recloop-data:no-such") as raised:
        DockerRunner(recipe, print).run(scripted("pass"), CONTEXT)
    assert "`make images`" in str(raised.value)


@pytest.mark.parametrize(("status", "kind"), [(401, InvalidInputError), (500, InfrastructureError)])
def test_a_registry_that_lets_nobody_in(
    monkeypatch: pytest.MonkeyPatch, status: int, kind: type[Exception]
) -> None:
    response = requests.Response()
    response.status_code = status

    def log_in(_: DockerHook) -> None:
        raise docker.errors.APIError("failed", response, "incorrect username or password")

    monkeypatch.setattr(DockerHook, "api_client", property(log_in))
    recipe = recipe_of({"docker": {"connection": "shop_registry"}})
    with pytest.raises(kind, match=r"docker\.connection: .* cannot log in with 'shop_registry': incorrect"):
        DockerRunner(recipe, print).run(scripted("pass"), CONTEXT)


@pytest.mark.containers
def test_an_unknown_network(engine: str) -> None:
    recipe = recipe_of({"docker": {"network": "no-such-network"}})
    with pytest.raises((InvalidInputError, InfrastructureError), match="no-such-network"):
        DockerRunner(recipe, print).run(scripted("pass"), CONTEXT)


@pytest.mark.containers
def test_an_earlier_tries_container_is_stopped_first(engine: str) -> None:
    """Its worker died and left it running."""
    invocation = scripted("print('second try')")
    client = docker.DockerClient(base_url=engine)
    orphan = client.containers.run(
        BASE_IMAGE, ["timeout", "60", "sleep", "60"], name=container_name(invocation), detach=True
    )
    assert DockerRunner(recipe_of(), print).run(invocation, CONTEXT) == Ended(0)
    with pytest.raises(docker.errors.NotFound):
        client.containers.get(orphan.id)
    assert client.containers.list(all=True, filters={"label": LABEL}) == []


@pytest.mark.containers
def test_a_container_removed_from_outside_is_worth_another_try(engine: str) -> None:
    invocation = scripted("import sys, time; print('working', file=sys.stderr); time.sleep(600)")
    client = docker.APIClient(base_url=engine)
    runner = DockerRunner(
        recipe_of(), lambda _: client.remove_container(container_name(invocation), force=True)
    )
    ended = runner.run(invocation, CONTEXT)
    assert ended == Ended(137, "working", "the container was removed from outside")
    assert is_retryable(ended.code)


@pytest.mark.containers
def test_a_stage_whose_worker_died_ends_by_itself(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "OVERTIME_S", 0)
    invocation = scripted("import time; time.sleep(600)")
    ended = DockerRunner(recipe_of({"stage_timeout_s": 1}), print).run(invocation, CONTEXT)
    assert ended.code == 124
    assert is_retryable(ended.code)
