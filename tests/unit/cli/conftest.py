"""`recloop` in this process, with stages that do nearly nothing."""

import dataclasses
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import components.cli.running
from components.catalog import STAGES
from components.cli.app import app

TOY = """\
name: toy
parameters: {epochs: {default: 3}}
source: {kind: synthetic}
training: {epochs: "${epochs}"}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one recipe, toy."""
    folder = tmp_path / "pipelines" / "recipes"
    folder.mkdir(parents=True)
    (folder / "toy.yaml").write_text(TOY)
    monkeypatch.setenv("RECLOOP_HOME", str(tmp_path))
    for name in ("RECLOOP_WORKSPACE", "MLFLOW_TRACKING_URI", "RECLOOP_DEBUG", "FAKE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def recloop(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """Run a command line; nothing may end in a traceback."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    fakes = [
        dataclasses.replace(
            spec,
            run=f"fakestages:{spec.name}",
            contract="fakestages:contract",
            inputs=tuple(dataclasses.replace(entry, default=None) for entry in spec.inputs),
        )
        for spec in STAGES
    ]
    monkeypatch.setattr(components.cli.running, "STAGES", fakes)
    root, package = logging.getLogger(), logging.getLogger("components")
    before = root.handlers[:], root.level, package.level

    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(app, list(arguments), prog_name="recloop", terminal_width=200)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    yield run
    root.handlers[:], level, package_level = before
    root.setLevel(level)
    package.setLevel(package_level)
