"""What a runner costs: the same recipe in processes, in containers under Airflow, and under Kubeflow.

    python tests/benchmarks/runners.py ml-100k --set epochs=30 --workspace s3://bucket/prefix
        [--runner process] [--runner docker] [--runner kubeflow]

Each runner gets a prefix of its own below `--workspace`, and its own registered model. The credentials and
endpoints come from the environment, as for `recloop` itself. `kubeflow` needs RECLOOP_KUBEFLOW_PYTHON, the
Python that has `recloop[kubeflow]`.

Printed: the content hashes and test metrics side by side, and for each stage the seconds that the stage took
and those before it began (the orchestrator's, the container's and Python's start).
"""

import argparse
import os
import subprocess
import sys
import time
from datetime import datetime, timedelta

from rich.console import Console
from rich.table import Table

from components.core.recipe import Recipe
from components.core.recipe.reading import read_recipe
from components.core.recipe_files import find
from components.core.runs import RunRecord, read_runs

_COMMANDS = {
    "process": [sys.executable, "-m", "dags.run"],
    "docker": [sys.executable, "-m", "dags.run"],
    "kubeflow": [os.environ.get("RECLOOP_KUBEFLOW_PYTHON", "python"), "-m", "pipelines.run"],
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe")
    parser.add_argument("--workspace", required=True)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--runner", action="append", choices=_COMMANDS, dest="runners")
    options = parser.parse_args()
    told = {}
    for runner in options.runners or _COMMANDS:
        overrides = [
            *options.overrides,
            f"workspace={options.workspace}/{runner}",
            f"registry.model={find(options.recipe).stem}-{runner}",
            f"orchestration.runner={'docker' if runner == 'docker' else 'process'}",
        ]
        recipe = read_recipe(find(options.recipe), overrides)
        started = time.time()
        arguments = [part for override in overrides for part in ("--set", override)]
        subprocess.run([*_COMMANDS[runner], options.recipe, *arguments], check=True)
        told[runner] = newest(recipe), started, time.time()
    show(told)
    return 0


def newest(recipe: Recipe) -> RunRecord:
    return read_runs(recipe)[0]


def show(told: dict[str, tuple[RunRecord, float, float]]) -> None:
    console = Console(width=160)
    first = next(iter(told.values()))[0]

    same = Table("artifact", *told, title="content hashes")
    for position, stage in enumerate(first.stages[:4]):
        same.add_row(stage.stage, *(run.stages[position].sha256[:16] for run, _, _ in told.values()))
    console.print(same)

    metrics = Table("metric", *told, title="evaluation")
    for name in first.stages[4].metrics or {}:
        if "@" in name:
            metrics.add_row(name, *(repr((run.stages[4].metrics or {})[name]) for run, _, _ in told.values()))
    console.print(metrics)

    times = Table("stage", *(f"{runner}: before + in it" for runner in told), title="seconds")
    for position, stage in enumerate(first.stages):
        cells = []
        for run, started, _ in told.values():
            before = began(run, position) - (ended(run, position - 1) if position else started)
            cells.append(f"{before:.1f} + {run.stages[position].seconds:.1f}")
        times.add_row(stage.stage, *cells)
    shares = []
    for run, started, finished in told.values():
        work = sum(stage.seconds for stage in run.stages)
        shares.append(f"{1 - work / (finished - started):.0%} of {finished - started:.1f}")
    times.add_row("outside the stages", *shares)
    console.print(times)


def began(run: RunRecord, position: int) -> float:
    return datetime.fromisoformat(run.stages[position].started).timestamp()


def ended(run: RunRecord, position: int) -> float:
    seconds = timedelta(seconds=run.stages[position].seconds)
    return (datetime.fromisoformat(run.stages[position].started) + seconds).timestamp()


if __name__ == "__main__":
    sys.exit(main())
