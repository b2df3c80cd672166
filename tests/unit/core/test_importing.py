"""What starts quickly imports little: held by names. The seconds are in `tests/benchmarks/speed/start.py`."""

import gc
import subprocess
import sys

import pytest

from components.catalog import PROMOTE, STAGES
from components.core.importing import importing
from components.core.stage import StageSpec
from components.core.strategy import load_object

_TABLES = ("numba", "numpy", "pandas", "polars", "pyarrow", "scipy")
_CHECKS = ("altair", "great_expectations", "jsonschema")
_SERVERS = ("alembic", "boto3", "botocore", "mlflow", "openlineage", "prometheus_client", "sqlalchemy")
_TRAINING = ("safetensors", "torch")
_HEAVY = (*_TABLES, *_CHECKS, *_SERVERS, *_TRAINING, "airflow", "jinja2")


def imported(code: str, *arguments: str) -> set[str]:
    """The modules that a fresh Python has after it ran some code."""
    code += "\nimport sys; print('\\n'.join(['', *sys.modules]))"
    command = [sys.executable, "-c", code, *arguments]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())


def test_the_help_needs_no_recipe_and_nothing_heavy():
    help_of = "from components.cli import main\ntry: main()\nexcept SystemExit: pass"
    found = imported(help_of, "--help")
    assert "typer" in found
    assert found.isdisjoint({*_HEAVY, "pydantic", "yaml", "components.core.recipe"})


def test_a_recipe_is_read_and_a_local_store_opened_without_anything_heavy():
    code = "import components.core.command, components.core.recipe.reading, components.catalog\n"
    assert imported(code + "components.core.store.open_store('here')").isdisjoint(_HEAVY)


@pytest.mark.parametrize("spec", [*STAGES, PROMOTE], ids=lambda spec: spec.name)
def test_a_stage_starts_without_what_checks_it_and_whom_it_may_ask(spec: StageSpec):
    paths = [*spec.runs, *(entry.default for entry in spec.inputs if entry.default)]
    code = "import components.core.command\nfrom components.core.strategy import load_object\n"
    found = imported(code + "\n".join(f"load_object({path!r})" for path in paths))
    assert found.isdisjoint({*_CHECKS, *_SERVERS})
    if spec.image == "data":
        assert found.isdisjoint(_TRAINING)


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_rests_and_goes_on_as_it_was(enabled: bool):
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with importing():
            assert not gc.isenabled()
        assert gc.isenabled() == enabled
        with pytest.raises(ModuleNotFoundError):
            load_object("components.core.nowhere:nothing")
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()
