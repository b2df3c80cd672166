"""An Airflow of the tests' own, and stages that do nothing but end as they are told."""

import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

_FAKE_STAGE = """\
#!{python}
import json, os, pathlib, sys, time
stage = sys.argv[2].rpartition(".")[2]
tries = pathlib.Path(os.environ["FAKE_TRIES"]) / stage
tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
(tries.parent / f"{{stage}}.pid").write_text(str(os.getpid()))
(tries.parent / f"{{stage}}.argv").write_text(json.dumps(sys.argv[1:]))
plan = json.loads(os.environ.get("FAKE_PLAN", "{{}}")).get(stage, {{}})
print(f"10:00:00 {{stage}}: working", file=sys.stderr)
time.sleep(plan.get("sleep", 0))
place = pathlib.Path(sys.argv[sys.argv.index("--record") + 1])
record = dict(stage=stage, status="done", started="2026-01-01T00:00:00+00:00", seconds=1.5, error="")

def leave(**more):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(record | more))

if plan.get("code") and len(tries.read_text()) <= plan.get("times", 99):
    print(f"10:00:01 {{stage}}: {{plan.get('message', 'no luck')}}", file=sys.stderr)
    if "gates" in plan:
        leave(status="failed", error=plan["message"], gates=plan["gates"])
    sys.exit(plan["code"])
record |= dict(uri=f"/store/{{stage}}", sha256="ab" * 32, metrics={{"promoted": 1.0}})
if plan.get("record", True):
    leave(**plan.get("result", {{}}))
"""


class FakeStages:
    """What the fake stages were asked to do; `plan` says how each ends."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._monkeypatch = monkeypatch

    def plan(self, **stages: dict[str, object]) -> None:
        """stage → {"code", "times", "message", "gates"}, {"result"} or {"sleep"} in seconds."""
        self._monkeypatch.setenv("FAKE_PLAN", json.dumps(stages))

    def tries(self, stage: str) -> int:
        """How often a stage was started."""
        path = self._folder / stage
        return len(path.read_text()) if path.exists() else 0

    def pid(self, stage: str) -> int:
        """Of the last start."""
        return int((self._folder / f"{stage}.pid").read_text())

    def arguments(self, stage: str) -> list[str]:
        """The arguments of the last start."""
        arguments: list[str] = json.loads((self._folder / f"{stage}.argv").read_text())
        return arguments

    def params(self, stage: str) -> dict[str, object]:
        """What stood behind --params."""
        arguments = self.arguments(stage)
        params: dict[str, object] = json.loads(arguments[arguments.index("--params") + 1])
        return params


@pytest.fixture
def fake_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeStages:
    """In the place of Python, a program that only pretends to run a stage."""
    folder = tmp_path / "tries"
    folder.mkdir()
    program = tmp_path / "python"
    program.write_text(_FAKE_STAGE.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("FAKE_TRIES", str(folder))
    monkeypatch.setattr(
        "dags.runners.process.sys", SimpleNamespace(executable=str(program), platform=sys.platform)
    )
    return FakeStages(folder, monkeypatch)


@pytest.fixture
def write_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes a recipe named `tiny`, with more lines of YAML after its own, and its workspace beside it."""
    monkeypatch.setenv("RECLOOP_WORKSPACE", str(tmp_path / "workspace"))

    def write(more: str = "", *, name: str = "tiny") -> Path:
        file = tmp_path / "recipes" / f"{name}.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"name: {name}\nsource: {{kind: synthetic}}\n{more}")
        return file

    return write


@pytest.fixture(scope="session")
def airflow_db() -> Path:
    """Airflow's home with an initialized database."""
    from dags.local import initialize

    home = Path(os.environ["AIRFLOW_HOME"])
    initialize(home)
    return home
