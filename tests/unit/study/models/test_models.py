"""A small study of models that really ran: its tables against the artifacts, and its page."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from components.core.errors import InvalidInputError
from components.core.policy import Policy
from components.core.recipe.classification import Dnn
from components.core.recipe.ranking import MatrixFactorization
from components.study.comparing import Comparison
from components.study.conducting import Part
from components.study.models import tables
from components.study.models.conducting import Results, conduct
from components.study.models.grid import Cell, Method, cells_of, recipe_of, source_of
from components.study.models.page import Page
from components.study.models.schema import ModelsStudy

RECIPE = """\
name: small
task: classification
source: {kind: synthetic, num_examples: 600, num_users: 40, num_items: 20}
promotion: {limits: {auc: {min: 0.99}}}
"""
MLP = {"hidden": [8], "batch_norm": False}
AMER = {
    "kind": "amer", "steps": ["interactions"], "rounds": 1, "keep": 3, "chosen": 2, "epochs": 1,
    "learning_rate": 0.01,
}  # fmt: skip
DNN = {"kind": "dnn"}
PART = Part(data=("clicks",), models=("DNN", "AMER-2", "DeepFM with AMER-2"))


def document(root: Path) -> dict[str, Any]:
    recipe = root / "small.yaml"
    recipe.write_text(RECIPE)
    return {
        "name": "trial",
        "compares": "models",
        "workspace": str(root / "studies"),
        "data": {"clicks": {"recipe": str(recipe)}},
        "models": {
            "DNN": {"model": {"kind": "dnn", "dim": 4, "mlp": MLP}},
            "DeepFM with AMER-2": {"model": {"kind": "deepfm", "dim": 4, "mlp": MLP}, "policy_of": "AMER-2"},
            "AMER-2": {
                "model": {"kind": "amer", "dim": 4, "mlp": MLP},
                "search": AMER,
                "training": {"warm_start": "none"},
            },
        },
        "ours": ["AMER-2"],
        "metrics": ["auc", "logloss"],
        "settings": [{"training": {"batch_size": 50, "learning_rate": 0.01, "epochs": 2}}],
        "seeds": [1, 2],
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def study(root: Path) -> ModelsStudy:
    return ModelsStudy.model_validate(document(root))


@pytest.fixture(scope="module")
def results(study: ModelsStudy, root: Path) -> Results:
    found = conduct(study, PART, root, jobs=1, tell=lambda line: None)
    assert not [outcome.error for outcome in found.outcomes.values() if outcome.error]
    return found


@pytest.fixture(scope="module")
def clicks(study: ModelsStudy, results: Results) -> Comparison:
    return tables.overall(study, results, PART)["clicks"]


def test_lines_that_take_policies_come_last_and_bring_their_sources(study: ModelsStudy) -> None:
    cells = cells_of(study, PART)
    assert [cell.model for cell in cells[::2]] == ["DNN", "AMER-2", "DeepFM with AMER-2"]
    alone = cells_of(study, Part(data=("clicks",), models=("DeepFM with AMER-2",)))
    assert [cell.model for cell in alone[::2]] == ["AMER-2", "DeepFM with AMER-2"]
    assert source_of(study, cells[-1]) == Cell("clicks", "AMER-2", Method(), 2)
    assert source_of(study, cells[0]) is None


def test_a_cell_is_the_recipe_with_the_line_in_it(study: ModelsStudy) -> None:
    recipe = recipe_of(study, Cell("clicks", "AMER-2", Method(), 2))
    assert recipe.training.seed == 2
    assert recipe.training.batch_size == 50
    assert recipe.training.warm_start == "none"
    assert recipe.search.kind == "amer"
    assert recipe.promotion.limits == {}
    assert recipe.training.metric == "auc"
    decided = study.model_copy(update={"metric": "logloss"})
    assert recipe_of(decided, Cell("clicks", "DNN", Method(), 1)).training.metric == "logloss"
    taking = recipe_of(study, Cell("clicks", "DeepFM with AMER-2", Method(), 2), "s3://b/policy")
    assert taking.document()["search"] == {"kind": "policy", "uri": "s3://b/policy"}


def test_a_policy_is_taken_over_by_another_model(results: Results) -> None:
    for seed in (1, 2):
        searched, taken = (
            Policy.read(Path(results.outcomes[Cell("clicks", name, Method(), seed)].places["policy"]))
            for name in ("AMER-2", "DeepFM with AMER-2")
        )
        assert taken.patch == searched.patch
        assert len(taken.patch["model.interactions"]) == 2


def test_tables_are_what_the_evaluations_say(
    results: Results, clicks: Comparison, study: ModelsStudy
) -> None:
    assert clicks.methods == ["DNN", "AMER-2", "DeepFM with AMER-2"]
    for name in clicks.methods:
        values = [
            results.outcomes[Cell("clicks", name, Method(), seed)].metrics["evaluate"]["auc"]
            for seed in (1, 2)
        ]
        assert clicks.mean(name, "auc") == pytest.approx(sum(values) / 2)
    ahead = tables.leads(study, clicks)
    assert list(ahead["model"]) == ["AMER-2", "AMER-2"]
    best = max(("DNN", "DeepFM with AMER-2"), key=lambda name: clicks.mean(name, "auc"))
    assert ahead["baseline"][0] == best
    assert ahead["lead"][0] == pytest.approx(clicks.mean("AMER-2", "auc") - clicks.mean(best, "auc"))
    compared = tables.compared_with(clicks)
    assert list(compared) == ["prior"]
    assert compared["prior"]["auc"] == 0.5
    took = tables.times(study, clicks).set_index("model")
    assert took["search"]["AMER-2"] == took["search"]["DeepFM with AMER-2"] > 0
    assert took["search"]["DNN"] == 0


def test_the_page_has_tables_and_what_was_found(study: ModelsStudy, results: Results, root: Path) -> None:
    page = Page(study, PART, results, root / "page")
    text = page.write().read_text()
    assert "6 of 6 cells ran" in text
    assert "| DeepFM with AMER-2 | 0." in text
    assert "| *prior* | 0.5000 | 0." in text
    assert "AMER-2 is better than the best baseline in" in text
    assert "- clicks, AMER-2, seed 1: " in text
    assert " ⊙ " in text
    for name in ("cells", "overall", "leads", "times"):
        assert (root / "page" / f"{name}.parquet").is_file()


def test_metrics_that_nothing_measures_are_told_before_any_work(root: Path) -> None:
    study = ModelsStudy.model_validate({**document(root), "metrics": ["auc", "hit_ratio@5"]})
    with pytest.raises(
        InvalidInputError, match="got 'hit_ratio@5', but the evaluation of clicks measures auc"
    ):
        conduct(study, PART, root, jobs=1, tell=lambda line: None)


def test_models_of_both_tasks_are_read(root: Path) -> None:
    both = document(root)
    both["models"]["BPR"] = {"model": {"kind": "mf", "dim": 8}}
    study = ModelsStudy.model_validate(both)
    assert isinstance(study.models["BPR"].model, MatrixFactorization)
    assert isinstance(study.models["DNN"].model, Dnn)
    with pytest.raises(InvalidInputError, match=r"training\.model\.kind: got 'mf'"):
        recipe_of(study, Cell("clicks", "BPR", Method(), 1))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"ours": ["AMER"]}, "ours: got 'AMER', need one of"),
        ({"ours": ["DNN", "DNN"]}, "need each at most once"),
        (
            {"models": {"A": {"model": DNN}, "B": {"model": DNN, "policy_of": "A"}}},
            "models.B.policy_of: 'A' searches nothing",
        ),
        (
            {"models": {"A": {"model": DNN}, "B": {"model": DNN, "policy_of": "C"}}},
            "models.B.policy_of: got 'C', need one of",
        ),
        (
            {
                "models": {
                    "A": {"model": {"kind": "dnn"}, "training": {"model": {}}},
                    "B": {"model": {"kind": "mf"}},
                }
            },
            "models.A.training: has a model; name it beside",
        ),
        (
            {
                "models": {
                    "A": {"model": {"kind": "amer"}, "search": AMER},
                    "B": {"model": {"kind": "deepfm"}, "search": AMER, "policy_of": "A"},
                }
            },
            "models.B: has both search and policy_of",
        ),
    ],
)
def test_what_a_study_of_models_cannot_be(root: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        ModelsStudy.model_validate({**document(root), **changes})
