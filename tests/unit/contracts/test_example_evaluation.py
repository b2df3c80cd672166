"""The contract of a classifier's evaluation passes what the stage makes, and stops what was changed since."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from components.core.errors import GateFailedError
from components.core.stage import Validation
from components.data.contracts.evaluation.classification import validate
from components.data.parquet import read_table, write_table
from tests.unit.conftest import Loop
from tests.unit.contracts import artifacts as a
from tests.unit.evaluate.example_world import World

TABLES = ("metrics", "per_example", "slices", "calibration")
RULE: Mapping[str, Any] = {
    "limits": {"auc": {"min": 0.1}},
    "guardrails": [{"metric": "logloss", "field": "item", "value": "a"}],
    "evaluation": {"slice_values": 2},
}


def checked(loop: Loop, *changes: a.Break, classes: tuple[str, ...] = ("no", "yes")) -> Validation:
    """Validate an evaluation with a champion, after some changes."""
    world = World(loop, classes).publish()
    world.inputs["champion"] = world.model(world.make(world.encodings, seed=3), "old_model")
    output = world.evaluate(**RULE)
    for change in changes:
        change(output)
    return validate(output, world.params(**RULE), world.inputs, loop.root / "docs")


@pytest.mark.parametrize("classes", [("no", "yes"), ("1", "2", "3")])
def test_a_good_artifact_passes_and_tells_its_gates(loop, classes):
    found = checked(loop, classes=classes)
    names = {path.name for path in (loop.root / "evaluation").glob("*.parquet")}
    assert found.tables.keys() == names == {f"{name}.parquet" for name in TABLES}
    assert {gate["subject"] for gate in found.summary["gates"]} == {
        "model",
        "champion",
        "guardrail item: a",
        "test",
    }


def test_the_first_evaluation_passes(loop):
    world = World(loop).publish()
    output = world.evaluate()
    assert validate(output, world.params(), world.inputs, loop.root / "docs").summary["success"]


def cell(file: str, name: str, row: int, value: Any) -> a.Break:
    """Change one value of a table."""

    def change(root: Path) -> None:
        table = read_table(root / file)
        values = table[name].to_pylist()
        values[row] = value
        place = table.schema.get_field_index(name)
        kind = table.schema.field(place).type
        write_table(table.set_column(place, name, pa.array(values, kind)), root / file)

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (cell("per_example.parquet", "probability", 0, [0.9, 0.9]), "challenger: examples without"),
        (cell("per_example.parquet", "champion_probability", 3, [2.0, -1.0]), "champion: examples without"),
        (cell("per_example.parquet", "probability", 0, [0.5, 0.5]), "logloss"),
        (cell("per_example.parquet", "label", 0, 2), "label"),
        (a.rows("per_example.parquet", [0, *range(179)]), "row"),
        (a.without("per_example.parquet", "champion_probability"), "schema"),
        (cell("metrics.parquet", "value", 0, 0.5), "metrics are the verdict's"),
        (cell("metrics.parquet", "num_examples", 1, 7), "num_examples"),
        (cell("slices.parquet", "low", 0, -0.5), "rows that are not the verdict's"),
        (a.rows("slices.parquet", range(1, 20)), "rows that are not the verdict's"),
        (cell("calibration.parquet", "examples", 0, 1), "challenger: wrong bins"),
        (cell("calibration.parquet", "observed", 1, 0.123), "challenger: wrong bins"),
        (a.rows("calibration.parquet", range(1, 5)), "wrong bins"),
        (a.document("verdict.json", "promote", value=False), "promote"),
        (a.document("verdict.json", "margin", value=0.5), "margin"),
        (a.document("verdict.json", "metric", value="logloss"), "is about the recipe's metric"),
        (a.document("verdict.json", "limits", "auc", "passed", value=False), "limits are the recipe's"),
        (a.document("verdict.json", "metrics", "ece", "challenger", value=0.0), "metrics are the verdict's"),
        (a.document("verdict.json", "comparisons", "prior", "auc", "other", value=0.1), "prior: auc"),
        (a.document("verdict.json", "comparisons", "prior", "auc", "low", value=0.9), "interval of auc"),
        (a.document("verdict.json", "gates", value=[]), "gates that do not follow"),
        (a.document("verdict.json", "rule", value="never"), "cannot be read"),
        (a.content("report.html", None), "bytes"),
        (a.content("verdict.json", b"{}"), "cannot be read"),
    ],
)  # fmt: skip
def test_what_was_changed_is_told(loop, change, told):
    with pytest.raises(GateFailedError) as refused:
        checked(loop, change)
    assert told in str(refused.value)


def test_slices_that_lose_examples_are_told(loop):
    """A table and a verdict that agree, but do not fit the examples."""

    def change(root: Path) -> None:
        verdict = a.read_document(root / "verdict.json")
        verdict["slices"][0]["examples"] -= 1
        verdict["slices"][1]["examples"] -= 1
        a.write_document(verdict, root / "verdict.json")
        for row in (0, 1):
            examples = read_table(root / "slices.parquet")["examples"].to_pylist()[row]
            cell("slices.parquet", "examples", row, examples - 1)(root)

    with pytest.raises(GateFailedError, match="item: examples"):
        checked(loop, change)
