"""`python -m dags.run RECIPE`: one real DAG run of a recipe, in this process and without a scheduler."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from components.core.errors import InvalidInputError, RecloopError
from components.core.recipe import Recipe
from components.core.recipe.reading import read_recipe
from components.core.recipe_files import find
from components.core.runs import RunRecord, StageRecord, check_workspace, read_runs, slug
from components.core.store import join
from components.core.strategy import load_object
from dags import HOME, OVERRIDES
from dags.local import QUIET, environment, initialize


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a recipe as a DAG; 0 when its last stage is done."""
    parser = argparse.ArgumentParser(prog="python -m dags.run", description=__doc__)
    parser.add_argument("recipe", help="name of one in pipelines/recipes, or path of a YAML file")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    parser.add_argument("--airflow-home", type=Path, default=HOME / ".airflow", metavar="DIRECTORY")
    options = parser.parse_args(arguments)
    os.environ.setdefault("RECLOOP_HOME", str(HOME))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        file = find(options.recipe)
        recipe = read_recipe(file, options.overrides)
        check_workspace(recipe)
        state, run_id = run_dag(file, options.overrides, options.airflow_home.absolute())
        report(recipe, slug(run_id))
        return 0 if state == "success" else 1
    except RecloopError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:  # between two tasks; within one Airflow makes it the task's failure
        return 128 + signal.SIGINT


def run_dag(file: Path, overrides: Sequence[str], airflow_home: Path) -> tuple[str, str]:
    """One DAG run; its final state and its id."""
    os.environ.update({**QUIET, **environment(airflow_home), "RECLOOP_RECIPES": str(file)})
    initialize(airflow_home)
    from dags.factory import load

    dags, problems = load([file])
    if problems:
        raise InvalidInputError("\n".join(problems))
    # nobody can be asked here; what has won is promoted by `recloop promote`
    unasked = ["promotion.policy=never"] if "approve" in dags[0].task_ids else []
    run = dags[0].test(run_conf={OVERRIDES: [*overrides, *unasked]})
    return str(run.state), str(run.run_id)


def report(recipe: Recipe, run_id: str) -> None:
    """Say what each stage of a run did and who is champion now, with metrics and report."""
    runs = read_runs(recipe)
    console = Console(highlight=False)
    console.print(f"\n{recipe.name}, run {run_id}", soft_wrap=True)
    table = Table(box=None, show_header=False)
    for record in next((run.stages for run in runs if run.run_id == run_id), ()):
        table.add_row(record.stage, record.status, f"{record.seconds:.1f} s")
    console.print(table)
    champion = load_object("components.registry.champion:find_champion")(recipe.stage_params()["evaluate"])
    if champion is None:
        console.print(f"{recipe.model_name} has no champion yet", style="bold")
        return
    console.print(f"champion: {recipe.model_name} version {champion.version}", style="bold")
    evaluated = _evaluation_of(champion.model_uri, runs)
    if evaluated is not None:
        for name, value in (evaluated.metrics or {}).items():
            if name != "promote":
                console.print(f"  {name:<15} {value:.4f}")
        console.print(f"  report          {join(evaluated.uri, 'report.html')}", soft_wrap=True)


def _evaluation_of(model_uri: str, runs: Sequence[RunRecord]) -> StageRecord | None:
    for run in runs:
        stages = {record.stage: record for record in run.stages if record.uri}
        if "evaluate" in stages and stages["retrain"].uri == model_uri:
            return stages["evaluate"]
    return None


if __name__ == "__main__":
    sys.exit(main())
