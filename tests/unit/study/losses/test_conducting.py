"""The order of cells, with stages that are played."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from components.core.errors import InvalidInputError
from components.core.recipe import ClassificationRecipe
from components.core.recipe.search import FromPolicy
from components.study import conducting as shared
from components.study.conducting import Part
from components.study.losses.conducting import conduct
from components.study.losses.grid import Cell
from components.study.losses.schema import LossesStudy
from components.study.running import Outcome

PART = Part(data=("tiny", "other"), models=("DeepFM", "NFM"))
Recipes = Mapping[Cell, ClassificationRecipe]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Recipes]:
    """What was run, batch by batch; SLF's searches with seed 2 fail."""
    batches: list[Recipes] = []

    def played(recipes: Recipes, *, jobs: int) -> Iterator[tuple[Cell, Outcome]]:
        assert jobs == 3
        batches.append(recipes)
        for cell in recipes:
            if (cell.method.name, cell.method.taken_from, cell.seed) == ("SLF", None, 2):
                yield cell, Outcome({}, {}, error="search: no")
            else:
                yield cell, Outcome({"policy": f"/policy of {cell.label}"}, {"evaluate": {"auc": 0.5}})

    monkeypatch.setattr(shared, "run_cells", played)
    return batches


def test_a_policy_goes_to_the_cells_of_its_own_seed(study: LossesStudy, ran: list[Recipes]) -> None:
    told: list[str] = []
    results = conduct(study, PART, Path("unused"), jobs=3, tell=told.append)
    first, second = ran
    assert not any(cell.method.taken_from for cell in first)
    for cell, recipe in second.items():
        name, seed = cell.method.name, cell.seed
        assert recipe.search == FromPolicy(uri=f"/policy of tiny / DeepFM / {name} / seed {seed}")
    assert {(cell.method.name, cell.seed) for cell in second} == {
        ("SLF", 1),
        ("AutoLoss", 1),
        ("AutoLoss", 2),
    }
    assert results.jobs == 3
    assert f"1/{len(first)}  tiny / DeepFM / Focal / seed 1: auc 0.5000, 0 s" in told


def test_what_has_no_policy_to_take_fails_and_says_why(study: LossesStudy, ran: list[Recipes]) -> None:
    results = conduct(study, PART, Path("unused"), jobs=3, tell=lambda _: None)
    failed = {cell.label: one.error for cell, one in results.outcomes.items() if one.error}
    told = "tiny / DeepFM / SLF / seed 2: left no policy: search: no"
    assert failed["tiny / NFM / SLF, policy of tiny, DeepFM / seed 2"] == told
    assert failed["other / DeepFM / SLF, policy of tiny, DeepFM / seed 2"] == told


def test_mistakes_are_told_before_any_work(document: dict[str, Any], ran: list[Recipes]) -> None:
    other = Path(document["data"]["other"]["recipe"])
    other.write_text(other.read_text().replace("num_classes: 2", "num_classes: 3"))
    study = LossesStudy.model_validate(document)
    with pytest.raises(InvalidInputError, match="tiny has 2 classes and other 3"):
        conduct(study, PART, Path("unused"), jobs=3, tell=lambda _: None)
    with pytest.raises(InvalidInputError, match="nothing of the study"):
        conduct(study, Part(("other",), ("NFM",)), Path("unused"), jobs=3, tell=lambda _: None)
    assert not ran
