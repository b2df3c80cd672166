"""A recipe that classifies, from raw data to a champion that answers; and what it refuses."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from components.cli.app import app
from components.core.manifest import read_manifest
from components.core.policy import Policy
from components.core.recipe.classification import ClassificationTraining
from components.data.parquet import read_table
from components.rec.classification import build_classifier
from components.rec.fields import FieldData
from components.rec.weights import load_tensors
from components.registry.scorers import load_scorer

RECIPE = """\
name: {name}
task: classification
parameters: {{file: {{default: clicks.csv}}}}
source:
  kind: files
  path: "${{file}}"
  label: {{column: click}}
  fields:
    categorical: {{user: user, ad: ad}}
    numeric: {{age: age}}
    multi_valued: {{tags: {{column: tags}}}}
search: {search}
training: {{model: {{kind: {model}, dim: 4, mlp: {{hidden: [8]}}}}, batch_size: 64, learning_rate: 0.01,
  epochs: 3, device: cpu}}
promotion: {{limits: {{auc: {{min: 0.5}}}}, beat: []}}
"""
AUTOLOSS = "{kind: autoloss, every: 3, epochs: 2, controller: {hidden: [8]}}"
HEADER = "click,user,ad,age,tags"
Run = Callable[..., Result]


def rows(count: int = 1200) -> list[str]:
    """A click is likelier for ads with a low number and for some users."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(count):
        user, ad, age = rng.integers(40), rng.integers(20), rng.integers(18, 70)
        click = rng.random() < 1 / (1 + np.exp(0.4 * ad - 0.1 * user))
        tags = "|".join(f"t{tag}" for tag in sorted(set(rng.integers(0, 5, 2))))
        found.append(f"{int(click)},u{user},a{ad},{age},{tags}")
    return found


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """`recloop` in this process, with the real stages, in a directory of its own."""
    for name in ("RECLOOP_DEBUG", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RECLOOP_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.chdir(tmp_path)
    Path("clicks.csv").write_text("\n".join([HEADER, *rows(), ""]))
    root = logging.getLogger()
    before = root.handlers[:], root.level

    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.output
        return result

    yield run
    root.handlers[:], level = before
    root.setLevel(level)


def write_recipe(name: str, search: str, model: str = "deepfm") -> str:
    path = Path(f"{name}.yaml")
    path.write_text(RECIPE.format(name=name, search=search, model=model))
    return str(path)


def artifact(name: str, recipe: str) -> Path:
    (place,) = [path for path in Path(f"workspace/{recipe}/{name}").iterdir() if path.name.isalnum()]
    return place


HYBRID = """\
name: hybrid
task: classification
source:
  kind: files
  path: visits.csv
  label: {column: click}
  fields: {categorical: {user: user, ad: ad, shop: shop}, numeric: {age: age}}
  history: {kind: earlier, by: user, fields: [ad, shop], length: 4}
  timestamp: time
prepare: {split: {kind: temporal, ratio: [8, 1, 1]}}
search:
  kind: amer
  steps: [history, interactions, mlp]
  blocks: {num_blocks: 1, epochs: 1, probes: 1, children: 5, top: 1, fine_tune: {epochs: 1}}
  rounds: 1
  epochs: 1
  keep: 3
  chosen: 2
  mlp: {epochs: 1, children: 5, top: 1, fine_tune: {epochs: 1}}
training: {model: {kind: amer, dim: 4, mlp: {hidden: [8]}}, batch_size: 64, epochs: 2, device: cpu}
promotion: {limits: {auc: {min: 0.4}}, beat: []}
"""


@pytest.mark.slow
def test_what_reads_histories_is_judged_and_served_as_it_was_trained(run: Run) -> None:
    """From a history made of earlier examples to questions that bring their own."""
    visits = [f"{row.rpartition(',')[0]},s{place % 7},{place}" for place, row in enumerate(rows())]
    Path("visits.csv").write_text("\n".join(["click,user,ad,age,shop,time", *visits, ""]))
    Path("hybrid.yaml").write_text(HYBRID)
    done = run("run", "hybrid.yaml")
    assert done.exit_code == 0, done.output
    assert "Version 1 of hybrid was made champion" in done.output
    model, dataset, delivered = (artifact(name, "hybrid") for name in ("model", "dataset", "interactions"))
    policy = Policy.read(artifact("policy", "hybrid"))
    assert set(policy.patch) == {"model.blocks", "model.interactions", "model.mlp"}
    section = json.loads((model / "training.json").read_text())["training"]
    data = FieldData.load(dataset, torch.device("cpu"))
    trained = build_classifier(ClassificationTraining.model_validate(section), data, seed=9)
    trained.load_state_dict(load_tensors(model / "weights.safetensors", torch.device("cpu")))
    asked = read_table(delivered / "interactions.parquet")
    row_N = read_table(dataset / "valid.parquet")["row"].to_numpy()
    columns = asked.take(row_N).to_pydict()
    assert {len(some) for some in columns["history_ad"]} == {4}
    found = load_scorer(model).score(columns)
    np.testing.assert_allclose(found, trained.predict(data.valid).numpy(), atol=1e-5)
    columns["history_shop"][3].pop()
    with pytest.raises(ValueError, match="the lists of an example differ in length"):
        load_scorer(model).score(columns)
    question = {"user": "u3", "ad": "a1", "shop": "s2", "age": 30, "history_ad": ["a1", "a9"]}
    Path("asked.jsonl").write_text(json.dumps(question | {"history_shop": ["s2", "s3"]}) + "\n")
    answered = run("predict", "hybrid", "--input", "asked.jsonl", "--json")
    assert answered.exit_code == 0, answered.output
    assert json.loads(answered.output)[0]["class"] in {"0", "1"}
    Path("asked.jsonl").write_text(json.dumps(question | {"history_shop": [None, "s3"]}) + "\n")
    assert run("predict", "hybrid", "--input", "asked.jsonl").exit_code == 0
    Path("asked.jsonl").write_text(json.dumps(question | {"history_shop": ["s2"]}) + "\n")
    refused = run("predict", "hybrid", "--input", "asked.jsonl")
    assert refused.exit_code == 2, refused.output
    assert "differ in length" in refused.output


@pytest.mark.slow
def test_a_champion_answers_and_its_policy_trains_other_models(run: Run, tmp_path: Path) -> None:
    recipe = write_recipe("first", AUTOLOSS)
    done = run("run", recipe)
    assert done.exit_code == 0, done.output
    assert "Version 1 of first was made champion" in done.output
    again = run("run", recipe)
    assert again.exit_code == 0, again.output
    assert again.output.count("already done") == 6

    Path("new.jsonl").write_text(
        "\n".join(
            json.dumps({"user": user, "ad": ad, "age": 30, "tags": ["t1", "t4"]})
            for user, ad in (("u30", "a1"), ("u1", "a19"), ("nobody", "nothing"))
        )
    )
    asked = run("predict", "first", "--input", "new.jsonl")
    assert asked.exit_code == 0, asked.output
    assert "probability_1" in asked.output
    refused = run("recommend", "first", "--user", "u1")
    assert refused.exit_code == 2
    assert "predict" in refused.output

    policy = artifact("policy", "first")
    assert Policy.read(policy).patch["loss"]["kind"] == "controlled"
    taken = run("run", write_recipe("second", f"{{kind: policy, uri: {policy.absolute()}}}", "autoint"))
    assert taken.exit_code == 0, taken.output
    ours = artifact("policy", "second")
    assert read_manifest(str(ours)).inputs["policy"].sha256 == read_manifest(str(policy)).sha256
    assert Policy.read(ours).patch == Policy.read(policy).patch
    trained = json.loads((artifact("model", "second") / "training.json").read_text())
    assert trained["training"]["loss"]["kind"] == "controlled"
    assert trained["training"]["model"]["kind"] == "autoint"
    assert trained["warm_start"]["from"] == "none"


@pytest.mark.parametrize(
    ("change", "code", "told"),
    [
        (lambda line: line.replace("1,", "7,", 1), 3, ["label 7 is none of 0, 1"]),
        (lambda line: "0" + line[1:], 2, ["0", "at least two"]),
        (lambda line: line.rsplit(",", 2)[0] + ",young,t1", 3, ["age is not a number"]),
        (lambda line: line.rsplit(",", 1)[0] + ",", 2, ["tags"]),
    ],
    ids=["labels outside the classes", "a constant label", "text for a number", "a field without values"],
)  # fmt: skip
def test_examples_that_cannot_be_used_are_refused(
    run: Run, change: Callable[[str], str], code: int, told: list[str]
) -> None:
    Path("clicks.csv").write_text("\n".join([HEADER, *map(change, rows(200)), ""]))
    refused = run("run", write_recipe("bad", "{kind: none}"))
    assert refused.exit_code == code, refused.output
    for part in told:
        assert part in refused.output
    assert not list(Path("workspace").rglob("_manifest.json"))


def test_a_class_that_validation_lacks_is_told_before_training(run: Run) -> None:
    """Three positives among two hundred: hardly any is left for validation."""
    some = [f"{int(place < 3)},u{place % 9},a{place % 7},{20 + place},t1" for place in range(200)]
    Path("clicks.csv").write_text("\n".join([HEADER, *some, ""]))
    refused = run("run", write_recipe("rare", "{kind: none}"))
    assert refused.exit_code == 2, refused.output
    assert "has no example of class '1'" in refused.output
    assert not list(Path("workspace").rglob("rare/dataset/*/_manifest.json"))


def test_a_field_that_train_never_saw_is_told(run: Run) -> None:
    """In parts: only test knows tags."""
    header, found = HEADER, rows(300)
    Path("train.csv").write_text("\n".join([header, *(line.rsplit(",", 1)[0] + "," for line in found), ""]))
    Path("test.csv").write_text("\n".join([header, *found[:80], ""]))
    recipe = Path(write_recipe("parts", "{kind: none}"))
    text = recipe.read_text().replace('  path: "${file}"\n', "  parts: {train: train.csv, test: test.csv}\n")
    recipe.write_text(text.replace("search:", "prepare: {split: {kind: given}}\nsearch:"))
    refused = run("run", str(recipe))
    assert refused.exit_code == 2, refused.output
    assert "tags" in refused.output
    assert not list(Path("workspace").rglob("parts/dataset/*/_manifest.json"))
