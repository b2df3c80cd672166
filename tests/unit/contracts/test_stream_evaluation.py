# ruff: noqa: E501  (a table reads best with one case a line)
"""The contract of a stream's evaluation: it passes a good artifact, and stops a broken one by the name of what is
wrong."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from components.catalog import EVALUATE, INGEST, PREPARE, RETRAIN, SEARCH
from components.core.errors import GateFailedError
from components.core.gates import gates_of
from components.core.recipe.reading import build_recipe
from components.core.stage import Validation, execute
from components.data.contracts.evaluation import stream as of_evaluations
from components.data.document import write_document
from components.data.parquet import read_table

from . import artifacts as a
from .streams import CASE, described, ids_of, nothing, stopped

TIMES = ("0", "1-9", "10-99", "100-999", "1000+")
RECIPE: dict[str, Any] = {
    "name": "stream",
    "task": "stream",
    "prepare": {"test_tail": 0.3},
    "training": {"model": {"kind": "mlp", "hidden": 8}, "batch_size": 50, "embedding": {"kind": "fixed", "size": 4}},
    "promotion": {
        "margin": -1,  # and so nothing holds the promotion back
        "resamples": 100,
        "limits": {"auc": {"min": 0.1}},
        "guardrails": [{"metric": "logloss", "field": "user_seen", "value": "1-9", "max_drop": 1}],
    },
}  # fmt: skip


def made(
    root: Path, delivery: int, inputs: dict[str, str], search: dict[str, Any]
) -> tuple[Any, dict[str, str]]:
    """One delivery of a small stream through all stages up to the model; every contract is kept on the way.

    Args:
        inputs: what prepare and evaluate take of a champion.
    """
    source = {
        "kind": "synthetic",
        "num_interactions": 600,
        "num_users": 40,
        "num_items": 20,
        "delivery": delivery,
    }
    document = {**RECIPE, "workspace": str(root / "workspace"), "source": source, "search": search}
    params = build_recipe(document, place="stream").stage_params()
    there: dict[str, str] = {}
    for spec, needed in (
        (INGEST, {}),
        (PREPARE, {"champion": inputs["champion_dataset"]} if inputs else {}),
        (SEARCH, {}),
        (RETRAIN, {}),
    ):
        named = {each.name for each in spec.inputs} & there.keys() - {"policy" if spec is SEARCH else ""}
        chosen = {name: there[name] for name in named} | needed
        there[spec.output] = execute(
            spec, params[spec.name], chosen, str(root / f"{spec.output}-{delivery}")
        ).uri
    return params["evaluate"], there | inputs


Evaluated = tuple[Any, dict[str, str], Path]


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    """The second delivery's model, compared with the first one's; the parameters, the inputs and the artifact."""
    root = tmp_path_factory.mktemp("stream")
    _, first = made(root, 1, {}, {"kind": "none"})
    champion = {"champion": first["model"], "champion_dataset": first["dataset"]}
    params, inputs = made(root, 2, champion, {"kind": "esapn", "sizes": [2, 4], "hidden": 8})
    return params, inputs, Path(execute(EVALUATE, params, inputs, str(root / "evaluation")).uri)


def judged(evaluated: Evaluated, root: Path, *changes: a.Break) -> Validation:
    params, inputs, artifact = evaluated
    output = shutil.copytree(artifact, root / "evaluation")
    for change in changes:
        change(output)
    places = {name: Path(uri) for name, uri in inputs.items()}
    return of_evaluations.validate(output, params, places, root / "docs")


def cell(file: str, name: str, row: int, value: Any) -> a.Break:
    """Change one value of a table."""

    def change(root: Path) -> None:
        values = read_table(root / file)[name].to_pylist()
        values[row] = value
        a.column(file, name, values)(root)

    return change


def test_a_good_evaluation_passes_and_its_slices_hold_every_interaction_of_the_tail_once(
    evaluated: Evaluated, tmp_path: Path
) -> None:
    found = judged(evaluated, tmp_path)
    assert found.summary["success"] is True
    assert described(found, tmp_path / "evaluation")
    slices = read_table(tmp_path / "evaluation" / "slices.parquet").to_pylist()
    assert [(row["field"], row["value"]) for row in slices[::2]] == [
        (field, times) for field in ("user_seen", "item_seen") for times in TIMES
    ]
    num_tail = read_table(Path(evaluated[1]["dataset"]) / "test.parquet").num_rows
    for field in ("user_seen", "item_seen"):
        for metric in ("auc", "logloss"):
            assert num_tail == sum(
                row["examples"] for row in slices if (row["field"], row["metric"]) == (field, metric)
            )
    learned = [gate for gate in gates_of(found.summary) if gate.name == "learned"]
    assert [gate.value for gate in learned] == [0.0]


ANSWERS, METRICS, SLICES = "per_example.parquet", "metrics.parquet", "slices.parquet"
EVALUATIONS: list[CASE] = [
    {"probabilities facts: challenger: examples without probabilities": cell(ANSWERS, "probability", 0, [0.9, 0.9]), "probabilities facts: champion: examples without probabilities": cell(ANSWERS, "champion_probability", 3, [2.0, -1.0])},
    {"metrics.parquet facts: logloss": cell(ANSWERS, "probability", 0, [0.999, 0.001]), "calibration.parquet facts: challenger: wrong bins": nothing},
    {"per_example.parquet: row: expect_column_values_to_be_unique()": a.rows(ANSWERS, [0, *range(179)])},
    {"per_example.parquet schema: ": a.without(ANSWERS, "champion_probability")},
    {"metrics.parquet facts: metrics are the verdict's": cell(METRICS, "value", 0, 0.5)},
    {"slices.parquet facts: rows that are not the verdict's": cell(SLICES, "low", 2, -0.5)},
    {"slices.parquet facts: rows that are not the verdict's": cell(SLICES, "value", 0, "2-9")},
    {"slices.parquet facts: rows that are not the verdict's": a.rows(SLICES, range(10)), "slices.parquet facts: user_seen: log loss": cell(SLICES, "challenger", 3, 9.0)},
    {"verdict.json facts: gates that do not follow from the numbers": a.document("verdict.json", "gates", value=[])},
    {"verdict.json facts: is about the recipe's metric": a.document("verdict.json", "metric", value="auc")},
    {"verdict.json facts: limits are the recipe's, judged": a.document("verdict.json", "limits", value={})},
    {"report.html facts: bytes": a.content("report.html", None)},
]  # fmt: skip


@pytest.mark.parametrize("changes", EVALUATIONS, ids=ids_of(EVALUATIONS))
def test_a_broken_evaluation_is_stopped_by_what_is_wrong(
    changes: CASE, evaluated: Evaluated, tmp_path: Path
) -> None:
    stopped(lambda: judged(evaluated, tmp_path, *changes.values()), changes, tmp_path / "docs")


def test_slices_that_lose_interactions_are_told(evaluated: Evaluated, tmp_path: Path) -> None:
    """A table and a verdict that agree, but do not fit the tail."""

    def change(root: Path) -> None:
        verdict = a.read_document(root / "verdict.json")
        place = max(range(0, 10, 2), key=lambda row: verdict["slices"][row]["examples"])
        for row in (place, place + 1):
            verdict["slices"][row]["examples"] -= 1
            cell(SLICES, "examples", row, verdict["slices"][row]["examples"])(root)
        write_document(verdict, root / "verdict.json")

    with pytest.raises(GateFailedError, match="user_seen: examples"):
        judged(evaluated, tmp_path, change)
