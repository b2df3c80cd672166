"""Every stage imports what it runs and what it is checked with from its own image alone."""

import subprocess
import sys

import pytest

from components.catalog import PROMOTE, STAGES
from components.core.stage import StageSpec

ABSENT = {"data": {"torch", "onnx", "optuna", "safetensors", "scipy"}, "training": {"polars"}}
IMPORT = """
import importlib, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(name, name=name)

absent = sys.argv[1].split(",")
sys.meta_path.insert(0, Absent())
for place in sys.argv[2:]:
    module, _, name = place.partition(":")
    getattr(importlib.import_module(module), name)
"""


@pytest.mark.parametrize("spec", [*STAGES, PROMOTE], ids=lambda spec: spec.name)
def test_a_stage_needs_only_what_its_image_has(spec: StageSpec):
    defaults = [entry.default for entry in spec.inputs if entry.default]
    places = [*spec.runs, *spec.contracts, *defaults]
    command = [sys.executable, "-c", IMPORT, ",".join(ABSENT[spec.image]), *places]
    imported = subprocess.run(command, capture_output=True, text=True, check=False)
    assert imported.returncode == 0, imported.stderr
