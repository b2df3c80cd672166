"""A study from its file to its page."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from components.cli.app import app
from tests.unit.study.samplers.conftest import document as document


@pytest.mark.slow
def test_a_study_is_run_resumed_and_written_down(document: dict[str, Any], tmp_path: Path) -> None:
    place = tmp_path / "trial.yaml"
    place.write_text(yaml.safe_dump(document, sort_keys=False))
    command = ["study", str(place), "--jobs", "2"]

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

    artifacts = {path: path.stat().st_mtime_ns for path in (tmp_path / "studies").rglob("_manifest.json")}
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0, again.output
    assert (results / "README.md").read_text() == page
    assert artifacts == {
        path: path.stat().st_mtime_ns for path in (tmp_path / "studies").rglob("_manifest.json")
    }

    part = CliRunner().invoke(app, [*command, "--model", "GRU"])
    assert part.exit_code != 0
    assert "got 'GRU', need one of ['MF', 'LightGCN']" in part.output
