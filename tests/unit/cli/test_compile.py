"""`recloop compile` without kfp; what it compiles is tested in tests/pipelines, where kfp is."""

import sys

import pytest
from typer.testing import CliRunner

from components.cli.app import app


def test_without_kfp_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kfp", None)
    monkeypatch.delitem(sys.modules, "pipelines.compiling", raising=False)
    result = CliRunner().invoke(app, ["compile", "demo", "--output", "-"])
    assert result.exit_code == 2
    assert "compile needs kfp" in result.stderr
    assert "pip install 'recloop[kubeflow]'" in result.stderr
