"""What every runner does, whichever way: exit codes, lines as they come, and an orderly end."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components.catalog import INGEST
from components.core.errors import is_retryable
from components.core.recipe import Recipe
from components.core.recipe.reading import build_recipe
from components.core.runs import Invocation
from dags.runners.base import Ended, Runner, reason_of

from .cluster import cluster_at

BASE_IMAGE = "python:3.11-slim-bookworm"
RUN = "manual__2026-01-01T00:00:00+00:00"
CONTEXT: Any = {
    "run_id": RUN,
    "dag": None,
    "ti": SimpleNamespace(
        dag_id="tiny",
        task_id="ingest",
        run_id=RUN,
        map_index=-1,
        try_number=1,
        xcom_push=lambda **_: None,
    ),
}
MakeRunner = Callable[[Callable[[str], None]], Runner]


@dataclass(frozen=True)
class Scripted(Invocation):
    """In the place of a stage, a program of a few lines."""

    program: str = ""

    def command(self, python: str = "python") -> list[str]:
        return [python, "-X", "utf8", "-u", "-c", self.program]


def scripted(program: str) -> Scripted:
    place = f"s3://bucket/{os.getpid()}-{time.monotonic_ns()}"
    params = build_recipe({"name": "tiny", "source": {"kind": "synthetic"}}, place="").stage_params()[
        "ingest"
    ]
    return Scripted(INGEST, params, {}, f"{place}/{{key}}", f"{place}.json", program)


def process() -> Iterator[MakeRunner]:
    from dags.runners.process import ProcessRunner

    yield ProcessRunner


def recipe_for(runner: str) -> Recipe:
    document = {
        "name": "tiny",
        "workspace": "s3://bucket/workspace",
        "source": {"kind": "synthetic"},
        "registry": {"tracking_uri": "http://127.0.0.1:9"},
        "orchestration": {"runner": runner, "images": {"data": BASE_IMAGE, "training": BASE_IMAGE}},
    }
    return build_recipe(document, place="here")


def docker(url: str) -> Iterator[MakeRunner]:
    import docker as sdk

    from dags.runners.docker import DockerRunner

    yield lambda on_line: DockerRunner(recipe_for("docker"), on_line)
    client = sdk.DockerClient(base_url=url)
    left = client.containers.list(all=True, filters={"label": "recloop.recipe=tiny"})
    client.close()
    assert left == []


def kubernetes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeRunner]:
    from dags.runners.kubernetes import KubernetesRunner

    kube_config = folder / "kube.yaml"
    connection = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(kube_config)}}
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps(connection))
    with cluster_at(kube_config) as cluster:
        yield lambda on_line: KubernetesRunner(recipe_for("kubernetes"), on_line)
        deadline = time.monotonic() + 20
        while any(not pod.is_done for pod in cluster.pods.values()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert all(pod.process.returncode for pod in cluster.living())  # pods that failed are kept


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.containers), "kubernetes"])
def make_runner(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeRunner]:
    """Makes one of the runners; afterwards nothing of its stages may be left."""
    if request.param == "docker":
        yield from docker(request.getfixturevalue("engine"))
    elif request.param == "kubernetes":
        yield from kubernetes(tmp_path, monkeypatch)
    else:
        yield from process()


@pytest.mark.parametrize("code", [0, 1, 2, 3, 6, 143])
def test_exit_codes(make_runner: MakeRunner, code: int) -> None:
    assert make_runner(print).run(scripted(f"raise SystemExit({code})"), CONTEXT) == Ended(code)


def test_a_killed_stage_may_be_tried_again(make_runner: MakeRunner) -> None:
    ended = make_runner(print).run(scripted("import os; os.kill(os.getpid(), 9)"), CONTEXT)
    assert is_retryable(ended.code)
    assert reason_of("ingest", ended).startswith("ended by SIGKILL")


def test_lines_of_standard_error_are_passed_on(make_runner: MakeRunner) -> None:
    program = (
        "import sys; print('out'); print('a', file=sys.stderr); print('Äß€' * 3000, file=sys.stderr)\n"
        "sys.stderr.write('the end without a newline'); sys.exit(5)"
    )
    lines: list[str] = []
    ended = make_runner(lines.append).run(scripted(program), CONTEXT)
    assert lines == ["a", "Äß€" * 3000, "the end without a newline"]
    assert ended == Ended(5, "\n".join(lines))


def test_a_flood_keeps_its_end(make_runner: MakeRunner) -> None:
    lines: list[str] = []
    program = "import sys\nfor i in range(5000): print('x' * 99); print(i, file=sys.stderr)"
    ended = make_runner(lines.append).run(scripted(program), CONTEXT)
    assert lines == [str(i) for i in range(5000)]
    assert ended.said.splitlines()[-1] == "4999"
    assert len(ended.said) < 1000


def test_lines_come_while_the_stage_runs(make_runner: MakeRunner) -> None:
    seen: list[float] = []
    program = "import sys, time\nfor _ in range(3): print('.', file=sys.stderr); time.sleep(0.5)"
    make_runner(lambda line: seen.append(time.monotonic())).run(scripted(program), CONTEXT)
    assert len(seen) == 3
    assert seen[2] - seen[0] > 0.8


_SAVES_ITSELF = """\
import signal, sys, time
def stop(*_):
    print("saved", file=sys.stderr)
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
print("ready", file=sys.stderr)
print("waiting", file=sys.stderr)
time.sleep(600)
"""


def test_a_stopped_stage_may_save_itself(make_runner: MakeRunner) -> None:
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line)
        if line == "ready":
            threading.Timer(0.5, runner.stop).start()

    runner = make_runner(on_line)
    started = time.monotonic()
    ended = runner.run(scripted(_SAVES_ITSELF), CONTEXT)
    assert (ended.code, lines) == (143, ["ready", "waiting", "saved"])
    assert time.monotonic() - started < 20


def test_stop_in_a_signal_handler(make_runner: MakeRunner) -> None:
    """As Airflow does it: the main thread is waiting for the stage when the signal comes."""
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line)
        if line == "ready":
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGUSR1)).start()

    runner = make_runner(on_line)
    before = signal.signal(signal.SIGUSR1, lambda *_: runner.stop())
    try:
        assert runner.run(scripted(_SAVES_ITSELF), CONTEXT).code == 143
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert lines == ["ready", "waiting", "saved"]


def test_a_stubborn_stage_is_ended_for_good(make_runner: MakeRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dags.runners.process._GRACE_S", 1)
    monkeypatch.setattr("dags.runners.docker.STOP_GRACE_S", 1)
    monkeypatch.setattr("dags.runners.kubernetes.STOP_GRACE_S", 1)
    program = _SAVES_ITSELF.replace("    sys.exit(143)\n", "")
    runner = make_runner(lambda line: line == "ready" and threading.Timer(0.5, runner.stop).start())
    assert runner.run(scripted(program), CONTEXT).code in {-9, 137, 143}


def test_a_timeout_lets_the_stage_save_itself(make_runner: MakeRunner) -> None:
    class Late(BaseException):
        """As Airflow's timeout: no Exception."""

    def late(*_: object) -> None:
        raise Late

    before = signal.signal(signal.SIGALRM, late)
    program = _SAVES_ITSELF.replace("    sys.exit", "    time.sleep(2)\n    sys.exit")
    runner = make_runner(lambda _: signal.setitimer(signal.ITIMER_REAL, 0.2) and None)
    started = time.monotonic()
    try:
        with pytest.raises(Late):
            runner.run(scripted(program), CONTEXT)
        # a cluster gives a pod its time while nobody waits
        assert type(runner).__name__ == "KubernetesRunner" or time.monotonic() - started > 2
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_stop_before_and_after(make_runner: MakeRunner) -> None:
    runner = make_runner(print)
    runner.stop()
    assert runner.run(scripted("pass"), CONTEXT).code == 0
    runner.stop()
