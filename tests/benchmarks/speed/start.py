"""What starting costs: the help, every stage until its `run` is called, its contract, asking a version,
parsing the DAGs.

    python -m tests.benchmarks.speed.start

Runs a small recipe once and promotes its model, so that the stages find a champion; then starts everything
in turns. Wall and CPU seconds (user and system), medians. The CPU's are those to compare where a machine is
shared.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from components.catalog import INGEST, PREPARE, PROMOTE, RETRAIN, STAGES
from components.core.recipe import PromoteParams
from components.core.recipe.reading import read_recipe
from components.core.runs import Invocation, plan, read_runs
from components.core.store import join
from components.registry import asking
from dags import HOME
from tests.benchmarks.speed.machine import measure

NUM_RECIPES = 50
_RECIPE = """\
name: start
source: {{kind: synthetic, num_users: 300, num_items: 200}}
workspace: {workspace}
registry: {{tracking_uri: "sqlite:///{workspace}/mlflow.db"}}
training: {{epochs: 1}}
"""
# Everything that makes a stage ask for the champion.
_COMPARED = (
    "quality.champion.volume={min: 0.1}",
    "quality.vocabulary.kept_users={min: 0.1}",
    "training.warm_start=champion",
)
_HELP = "from components.cli import main; main()"
_STAGE = """\
import os, sys
from components import catalog
from components.core import command
from components.core.spec import StageSpec

spec = getattr(catalog, sys.argv.pop(1).upper())
load = StageSpec.load_run

def stopping(spec, params):
    load(spec, params)
    return lambda *_: os._exit(0)

StageSpec.load_run = stopping
command.main(spec)
"""
_TABLES = """\
import pandas, pyarrow.parquet
from components.catalog import PREPARE
from components.core.strategy import load_object
load_object(PREPARE.contracts[0])
"""
_CHECK = """\
from components.data.contracts.checker import Checker
from components.data.contracts.expectations import row_count
Checker("start").check("one", pandas.DataFrame({"column": [1]}), [row_count(1, 1)])
"""
_AIRFLOW = """\
import airflow.sdk, airflow.timetables.trigger
import airflow.providers.standard.operators.hitl
import airflow.providers.standard.operators.trigger_dagrun
"""
_DAGBAG = """\
import sys
from pathlib import Path
from airflow.dag_processing.dagbag import DagBag
folder = Path(sys.argv[1])
"""
_COLLECT = """\
bag = DagBag(folder, bundle_path=folder, bundle_name="start")
assert bag.dags and not bag.import_errors, bag.import_errors
"""


@final
@dataclass(frozen=True)
class Start:
    """Something that is started, and what its cost counts beyond: the name of another."""

    command: Sequence[str]
    beyond: str | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description="What starting costs.")
    parser.add_argument("--times", type=int, default=5, help="runs of everything, in turns")
    parser.add_argument("--only", default="", help="what has this in its name, and what it counts beyond")
    options = parser.parse_args()
    print(measure())
    with tempfile.TemporaryDirectory() as place:
        starts = _starts(Path(place))
        chosen = {name for name in starts if options.only in name}
        chosen |= {starts[name].beyond or name for name in chosen}
        costs: dict[str, list[tuple[float, float]]] = {name: [] for name in starts if name in chosen}
        for _ in range(options.times + 1):
            for name, found in costs.items():
                found.append(_cost(starts[name].command, Path(place)))
    medians = {
        name: [statistics.median(kind) for kind in zip(*found[1:], strict=True)]
        for name, found in costs.items()
    }
    print(f"{'seconds, medians of ' + str(options.times):45} {'wall':>6} {'CPU':>6}")
    for name, cost in medians.items():
        base = starts[name].beyond
        wall, cpu = (a - b for a, b in zip(cost, medians[base] if base else (0.0, 0.0), strict=True))
        print(f"{name + f' (beyond {base})' * bool(base):45} {wall:6.2f} {cpu:6.2f}")


def _cost(command: Sequence[str], work: Path) -> tuple[float, float]:
    """Wall and CPU seconds of a command, which must succeed."""
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(work / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "RECLOOP_RECIPES": str(work / "recipes"),
        "RECLOOP_WORKSPACE": str(work / "workspace"),
    }
    with (work / "said").open("w+") as said:
        start = time.monotonic()
        child = subprocess.Popen(command, stdout=said, stderr=said, env=environment)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            said.seek(0)
            raise SystemExit(f"{command}: {said.read()}")
    return wall, usage.ru_utime + usage.ru_stime


def _starts(work: Path) -> dict[str, Start]:
    code = [sys.executable, "-c"]
    starts = {
        "python": Start([*code, "pass"]),
        "recloop --help": Start([*code, _HELP, "--help"]),
        "import torch": Start([*code, "import torch"]),
    }
    file = _run_once(work)
    recipe = read_recipe(file)
    made = read_runs(recipe)[0].stages
    artifacts = {spec.output: record.uri for spec, record in zip(STAGES, made, strict=True)}
    comparing = ("", STAGES, ()), (", compared with the champion", (INGEST, PREPARE, RETRAIN), _COMPARED)
    for told, specs, overrides in comparing:
        recipe = read_recipe(file, overrides)
        for spec in specs:
            asked = plan(recipe, spec, artifacts)
            output = join(str(work), "started", *told.split(), "{key}")
            command = replace(asked, output=output).command()[3:]
            torch = "import torch" if spec.image == "training" else None
            starts[spec.name + told] = Start([*code, _STAGE, spec.name, *command], torch)
    decision = PromoteParams(
        action="rollback",
        model=recipe.model_name,
        tracking_uri=recipe.tracking_uri,
        ledger=str(work / "ledgers"),
        who="start",
        why="start",
        decision="start",
    )
    output = str(work / "started" / "promotion")
    asked = Invocation(PROMOTE, decision, {}, output)
    starts["promote"] = Start([*code, _STAGE, "promote", *asked.command()[3:]])
    question = [recipe.tracking_uri, recipe.model_name, "1", "10"]
    dags = str(HOME / "dags")
    _write_recipes(work / "recipes")
    return starts | {
        "a contract's tables": Start([*code, _TABLES]),
        "the first check": Start([*code, _TABLES + _CHECK], "a contract's tables"),
        "asking a version": Start([sys.executable, "-I", str(asking.__file__), *question]),
        "import airflow": Start([*code, _AIRFLOW]),
        **{
            f"dags/{name}.py, {NUM_RECIPES} recipes": Start(
                [*code, f"{_AIRFLOW}import dags.{name}"], "import airflow"
            )
            for name in ("recipes", "recipe_errors", "promotion")
        },
        "import Airflow's DagBag": Start([*code, _DAGBAG, dags]),
        f"DagBag, {NUM_RECIPES} recipes": Start([*code, _DAGBAG + _COLLECT, dags], "import Airflow's DagBag"),
    }


def _run_once(work: Path) -> Path:
    """The file of a recipe that has run, and whose model is champion."""
    file = work / "start.yaml"
    file.write_text(_RECIPE.format(workspace=work / "workspace"))
    tracking = f"--tracking-uri=sqlite:///{work}/workspace/mlflow.db"
    promote = ["promote", "start", "--force", "--why", "start", tracking]
    for arguments in (["run", str(file), "--quiet"], promote):
        subprocess.run([sys.executable, "-c", _HELP, *arguments], check=True, capture_output=True)
    return file


def _write_recipes(folder: Path) -> None:
    """The included recipes, again and again under other names."""
    folder.mkdir()
    included = sorted((HOME / "pipelines" / "recipes").glob("*.yaml"))
    for number in range(NUM_RECIPES):
        text = included[number % len(included)].read_text(encoding="utf-8")
        renamed = re.sub(r"^name: (\S+)$", rf"name: \1-{number}", text, count=1, flags=re.MULTILINE)
        (folder / f"{number:02}.yaml").write_text(renamed, encoding="utf-8")


if __name__ == "__main__":
    main()
