"""A classifier as a registered model: what is stored, and that it answers as it was judged."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient

from components.catalog import REGISTER
from components.core.errors import InvalidInputError
from components.core.recipe import RegisterParams
from components.core.stage import Context
from components.register.run import run as register
from components.registry.classifier_serving import Scorer
from components.registry.predict import predict
from components.registry.recommend import recommend
from components.registry.served import classifier_files

from .classifier_loop import DELIVERED, TEST_ROWS, make, verdict
from .world import World

MODEL = "clicks"
# A fresh process with mlflow and the model's requirements, in which this project does not exist.
STRANGER = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"components", "torch", "polars", "onnx"}:
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Blocked())
import mlflow

mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/clicks@champion")
print(model.predict(model.metadata.load_input_example()).to_json(orient="records"))
"""


@pytest.fixture
def registered(loop: Any, empty_database: Path) -> dict[str, Any]:
    """The registration of a classifier that has won, with the place of MLflow as `uri`."""
    database = loop.root / "mlflow.db"
    shutil.copy(empty_database, database)
    inputs = make(loop, verdict())
    params = RegisterParams(
        task="classification",
        model=MODEL,
        tracking_uri=f"sqlite:///{database}",
        experiment="clicks",
        ledger=f"{loop.root}/ledgers",
        recipe={"name": MODEL, "task": "classification"},
    )
    output = loop.folder("registration")
    uris = {name: str(path) for name, path in inputs.items()}
    register(params, inputs, output, Context(None, uris))  # type: ignore[arg-type]
    REGISTER.load_contract(params)(output, params, {}, loop.root / "docs")
    return {"uri": params.tracking_uri, **json.loads((output / "registration.json").read_text())}


def test_a_classifier_that_has_won_is_champion_and_answers_as_it_was_judged(
    registered: dict[str, Any], loop: Any, tmp_path: Path
) -> None:
    assert registered["aliases"] == ["challenger", "champion"]  # so it has answered the probe
    scorer = Scorer(classifier_files(loop.root / "model"))
    wanted = scorer.score(
        {name: [values[row] for row in TEST_ROWS[:3]] for name, values in DELIVERED.items()}
    )
    ended = subprocess.run(
        [sys.executable, "-I", "-c", STRANGER, registered["uri"]],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    answer = pd.DataFrame(json.loads(ended.stdout.splitlines()[-1]))
    assert answer["probability_yes"].tolist() == pytest.approx(wanted[:, 1])


def test_what_is_stored_is_code_and_files_and_no_pickle(registered: dict[str, Any], loop: Any) -> None:
    files = {
        path.relative_to(place.parent).as_posix()
        for place in loop.root.rglob("MLmodel")
        for path in place.parent.rglob("*")
        if path.is_file()
    }
    tables = ("fields", "values", "edges", "value_embeddings")
    assert files == {
        "MLmodel",
        "conda.yaml",
        "python_env.yaml",
        "requirements.txt",
        "input_example.json",
        "serving_input_example.json",
        "classifier_serving.py",
        *(f"artifacts/{name}.parquet" for name in tables),
        "artifacts/network.onnx",
        "artifacts/classes.json",
    }


def test_its_run_holds_what_was_measured(registered: dict[str, Any]) -> None:
    client = MlflowClient(registered["uri"], registered["uri"])
    run = client.get_run(registered["run_id"])
    assert (run.data.metrics["auc"], run.data.metrics["logloss"]) == (0.8, 0.4)
    assert run.data.params["policy.loss.kind"] == "weighted"
    assert run.data.params["trained.model.kind"] == "deepfm"
    points = client.get_metric_history(registered["run_id"], "search/alpha_focal")
    assert [(point.step, point.value) for point in points] == [(1, 0.5), (2, 0.25)]


def test_examples_are_predicted_whatever_they_are_read_from(registered: dict[str, Any], loop: Any) -> None:
    scorer = Scorer(classifier_files(loop.root / "model"))
    wanted = scorer.score({"item": ["b", None], "price": [3.0, None], "genres": [["x", "y"], None]})
    for examples in (
        [{"item": "b", "price": 3, "genres": ["x", "y"], "other": 1}, {"item": None}],
        [{"item": "b", "price": "3.0", "genres": "x|y"}, {"item": "", "price": "", "genres": ""}],
    ):
        answer = predict(MODEL, registered["uri"], examples)
        assert list(answer.columns) == ["class", "probability_no", "probability_yes"]
        assert answer["probability_yes"].tolist() == pytest.approx(wanted[:, 1])
    with pytest.raises(InvalidInputError, match="got no genres; need the fields item, price, genres"):
        predict(MODEL, registered["uri"], [{"item": "b", "price": 3}])
    for name, value, allowed in (
        ("price", "dear", "a number"),
        ("item", ["b"], "a text or a number"),
        ("genres", 7, "a list of texts"),
    ):
        example = {"item": "b", "price": 1, "genres": [], name: value}
        with pytest.raises(InvalidInputError, match=rf"example 1: {name}: got .*, need {allowed}"):
            predict(MODEL, registered["uri"], [example])


def test_a_model_is_asked_what_it_is_for(registered: dict[str, Any], loop: Any, empty_database: Path) -> None:
    with pytest.raises(InvalidInputError, match="is for classification; ask it with `recloop predict`"):
        recommend(MODEL, registered["uri"], ["ann"], 3)
    world = World(loop, empty_database)
    world.judge(0.5)
    world.register()
    with pytest.raises(InvalidInputError, match="'toy' is for ranking; ask it with `recloop recommend`"):
        predict("toy", world.tracking_uri, [{"item": "b"}])
