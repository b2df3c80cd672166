"""`make run`'s command: a real DAG run in the foreground, with the real stages."""

import subprocess
import sys
from pathlib import Path

import pytest

from components.catalog import STAGES

from .conftest import WAIT_S

pytestmark = [pytest.mark.airflow, pytest.mark.slow]


def run(place: Path, environment: dict[str, str], *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dags.run", str(place / "recipes" / "tiny.yaml"), *more]
    return subprocess.run(
        [*command, "--airflow-home", str(place / "airflow")],
        env=environment,
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
    )


def stages(output: str, status: str) -> list[str]:
    return [line.split()[0] for line in output.splitlines() if line.split()[1:2] == [status]]


def test_from_nothing_to_a_champion_and_again(place: Path, environment: dict[str, str]) -> None:
    names = [spec.name for spec in STAGES]

    first = run(place, environment)
    assert first.returncode == 0, first.stderr
    assert stages(first.stdout, "done") == names
    assert "champion: tiny version 1" in first.stdout
    assert "ndcg@20" in first.stdout
    report = next(line.split()[1] for line in first.stdout.splitlines() if line.strip().startswith("report"))
    assert Path(report).stat().st_size > 0

    second = run(place, environment)
    assert second.returncode == 0, second.stderr
    assert stages(second.stdout, "skipped") == names
    assert "champion: tiny version 1" in second.stdout

    gate = run(place, environment, "--set", "promotion.floors={ndcg@20: 0.999}")
    assert gate.returncode == 1
    assert stages(gate.stdout, "failed") == ["evaluate"]
    assert "champion: tiny version 1" in gate.stdout  # still
    assert "Traceback" not in gate.stderr + gate.stdout


def test_a_recipe_with_a_mistake_does_not_start(place: Path, environment: dict[str, str]) -> None:
    answer = run(place, environment, "--set", "prepare.core=-1")
    assert answer.returncode == 2
    assert answer.stderr.count("prepare.core: got -1") == 1
    assert "Traceback" not in answer.stderr
