"""Parsing every DAG loads nothing heavy, and takes no time."""

import json
import os
import subprocess
import sys
from pathlib import Path

from dags import HOME

_PARSE = """\
import importlib.abc, json, sys, time
from pathlib import Path

HEAVY = {"torch", "pandas", "polars", "numpy", "pyarrow", "scipy", "mlflow", "great_expectations", "sklearn"}

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HEAVY:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
from airflow.dag_processing.dagbag import DagBag

folder = Path(sys.argv[1])
started = time.monotonic()
bag = DagBag(folder, bundle_path=folder, bundle_name="test")
files = sorted(one.file for one in bag.dagbag_stats)
print(json.dumps([sorted(bag.dags), bag.import_errors, files, time.monotonic() - started]))
"""


def test_parsing_with_heavy_packages_blocked(tmp_path: Path) -> None:
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    environment.pop("RECLOOP_RECIPES", None)
    answer = subprocess.run(
        [sys.executable, "-c", _PARSE, str(HOME / "dags")],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    dags, errors, files, seconds = json.loads(answer.stdout.splitlines()[-1])
    assert errors == {}
    assert files == ["promotion.py", "recipe_errors.py", "recipes.py"]  # not what they import
    assert {"demo", "ml-100k", "taobao-buy", "gowalla"} <= set(dags)
    assert seconds < 10  # Airflow's own limit is 30 s


def test_the_factory_brings_no_models_of_runs() -> None:
    code = "import sys, dags.factory; sys.exit('airflow.models.dagrun' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
