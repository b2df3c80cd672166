"""Studies from their files to their pages."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from components.cli.app import app
from tests.unit.study.losses.conftest import document as losses_document
from tests.unit.study.samplers.conftest import document as samplers_document

__all__ = ["losses_document", "samplers_document"]


@pytest.mark.slow
def test_a_study_of_samplers_is_run_resumed_and_written_down(
    samplers_document: dict[str, Any], tmp_path: Path
) -> None:
    command = _written(samplers_document, tmp_path)

    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    results = tmp_path / "studies" / "trial" / "results"
    page = (results / "README.md").read_text()
    for title in (
        "Overall comparison",
        "2 negatives",
        "Search spaces",
        "What it takes in all",
        "α evolves",
        "In short",
    ):
        assert title in page
    for name in ("time-tiny", "alpha-tiny"):
        assert (results / f"{name}.svg").stat().st_size > 1000
        assert (results / f"{name}.png").stat().st_size > 1000
    cells = pq.read_table(results / "cells.parquet").to_pandas()
    assert cells["error"].isna().all()
    overall = pq.read_table(results / "overall.parquet").to_pandas()
    expected = {
        "MF": {"RNS", "PNS", "DNS", "AutoSample"},
        "LightGCN": {"RNS", "PNS", "DNS", "MixGCF", "AutoSample"},
    }
    assert {model: set(rows["method"]) for model, rows in overall.groupby("model")} == expected

    _is_not_done_again(command, tmp_path / "studies")

    part = CliRunner().invoke(app, [*command, "--model", "GRU"])
    assert part.exit_code != 0
    assert "got 'GRU', need one of ['MF', 'LightGCN']" in part.output


@pytest.mark.slow
def test_a_study_of_losses_is_run_resumed_and_written_down(
    losses_document: dict[str, Any], tmp_path: Path
) -> None:
    """With a transfer to another model, so that searches are there before they are taken."""
    fewer = losses_document | {"seeds": [1]}
    fewer["comparison"]["methods"] = ["CE", "DARTS", "SLF", "AutoLoss"]
    fewer["ablations"]["methods"] = ["AL-1", "AutoLoss"]
    del fewer["transfers"][0]["to"][1]
    command = _written(fewer, tmp_path)

    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    results = tmp_path / "studies" / "trial" / "results"
    page = (results / "README.md").read_text()
    for title in (
        "Overall comparison",
        "What the parts are worth",
        "Policies that are carried over",
        "How often the controller learns",
        "In short",
    ):
        assert title in page
    for name in ("transfers", "times", "updates-tiny-DeepFM", "weights-tiny-DeepFM"):
        assert (results / f"{name}.svg").stat().st_size > 1000
    cells = pq.read_table(results / "cells.parquet").to_pandas()
    assert cells["error"].isna().all()
    assert cells[["auc", "logloss", "ece", "calibration"]].notna().all(axis=None)
    searched = cells.set_index("method")["search_epochs"].dropna()
    assert set(searched.index) == {"DARTS", "SLF", "AutoLoss", "AutoLoss, f = 1"}
    _is_not_done_again(command, tmp_path / "studies")


def _written(document: dict[str, Any], folder: Path) -> list[str]:
    """The command that runs it."""
    place = folder / "trial.yaml"
    place.write_text(yaml.safe_dump(document, sort_keys=False))
    return ["study", str(place), "--jobs", "2"]


def _is_not_done_again(command: list[str], workspace: Path) -> None:
    page = workspace / "trial" / "results" / "README.md"
    before = page.read_text()
    artifacts = {path: path.stat().st_mtime_ns for path in workspace.rglob("_manifest.json")}
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0, again.output
    assert page.read_text() == before
    assert artifacts == {path: path.stat().st_mtime_ns for path in workspace.rglob("_manifest.json")}
