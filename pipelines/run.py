"""`python -m pipelines.run RECIPE`: one real run of a recipe's Kubeflow pipeline with KFP's local runner: the
same tasks in the same containers, on this machine's engine and without a cluster."""

import argparse
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from kfp import local

from components.catalog import STAGES
from components.core.errors import RecloopError
from components.core.recipe import Recipe
from components.core.recipe.reading import read_document, read_recipe, with_overrides
from components.core.recipe_files import find
from components.core.runs import StageRecord, check_workspace, new_run_id, read_record, record_place
from pipelines import RUN_ID
from pipelines.compiling import build_pipeline
from pipelines.engine import check_engine, docker_runner


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a recipe as a pipeline; 0 when its last stage is done."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.run", description=__doc__)
    parser.add_argument("recipe", help="name of one in pipelines/recipes, or path of a YAML file")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    parser.add_argument("--network", default="host", help="of the containers")
    parser.add_argument(
        "--outputs",
        type=Path,
        default=Path(".kubeflow"),
        metavar="DIRECTORY",
        help="where KFP keeps what tasks tell it, in place of a cluster's pipeline root",
    )
    options = parser.parse_args(arguments)
    os.environ.setdefault("RECLOOP_HOME", str(Path.cwd()))  # relative places mean the same in a container
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    run_id = new_run_id()
    try:
        file = find(options.recipe)
        recipe = read_recipe(file, options.overrides)
        check_workspace(recipe)
        check_engine(recipe)
        fault = run_pipeline(file, recipe, options.overrides, run_id, options.outputs, options.network)
        records = [
            record
            for position, spec in enumerate(STAGES)
            if (record := read_record(record_place(recipe, run_id, position, spec.name)))
        ]
    except RecloopError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:  # the stage was told to stop, and goes on from its checkpoint next time
        return 128 + signal.SIGINT
    report(recipe, run_id, records)
    if fault:
        print(fault, file=sys.stderr)
    return 0 if not fault and len(records) == len(STAGES) else 1


def run_pipeline(
    file: Path, recipe: Recipe, overrides: Sequence[str], run_id: str, outputs: Path, network: str
) -> str:
    """Compile and run; what KFP says of a failure, else nothing.

    Args:
        overrides: a declared parameter becomes the run's value, as in the form of KFP's UI; any other key
            is compiled in.
        outputs: KFP's pipeline root.
    """
    ours = [text for text in overrides if text.partition("=")[0].strip() not in recipe.parameters]
    pipeline = build_pipeline(with_overrides(read_document(file), ours), str(file))
    values = {name: parameter.default for name, parameter in recipe.parameters.items()}
    outputs.mkdir(parents=True, exist_ok=True)
    local.init(runner=docker_runner(recipe, network, {RUN_ID: run_id}), pipeline_root=str(outputs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that resources mean nothing here
        try:
            pipeline(**values)
        except RuntimeError as error:
            return str(error)
    return ""


def report(recipe: Recipe, run_id: str, records: Sequence[StageRecord]) -> None:
    """Say what each stage of a run did."""
    print(f"\n{recipe.name}, run {run_id}")
    for record in records:
        what = f"{record.sha256[:12]}  {record.uri}" if record.uri else record.error
        print(f"{record.stage:<10}{record.status:<9}{record.seconds:>7.1f} s  {what}")


if __name__ == "__main__":
    sys.exit(main())
