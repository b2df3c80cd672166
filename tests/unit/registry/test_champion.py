"""What the champion was made from is looked for where a recipe bounds how far data may be from it."""

from types import SimpleNamespace
from typing import Any

import pytest

from components.core.errors import InvalidInputError
from components.core.recipe.reading import build_recipe
from components.registry import champion
from components.registry.champion import find_dataset, find_interactions

BOUNDS = {
    "ranking": {"vocabulary": {"kept_users": {"min": 0.5}}, "champion": {"volume": {"min": 0.5}}},
    "classification": {"vocabulary": {"kept_values": {"min": 0.5}}, "champion": {"drift": {"max": 0.5}}},
}


@pytest.mark.parametrize("task", BOUNDS)
def test_it_is_looked_for_where_there_are_bounds(task: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def find(params: Any) -> None:
        asked.append(type(params).__name__)

    monkeypatch.setattr(champion, "find_training_dataset", find)
    always = 1 if task == "classification" else 0  # its dataset says whether it can be compared with
    for quality, expected in (({}, always), (BOUNDS[task], always + 2)):
        recipe = build_recipe(
            {"name": "r", "task": task, "source": {"kind": "synthetic"}, "quality": quality}, place="r"
        )
        params = recipe.stage_params()
        assert find_dataset(params["prepare"]) is None
        assert find_interactions(params["ingest"]) is None
        assert len(asked) == expected


@pytest.mark.parametrize(
    ("theirs", "told"),
    [
        ({"classes": ["no", "yes"]}, r"its classes are \['no', 'yes'\], the recipe's \['0', '1'\]"),
        (
            {"kinds": {"age": "categorical", "site": "categorical"}},
            r"it needs the fields age \(categorical\), which",
        ),
        ({"kinds": {"colour": "categorical"}}, r"it needs the fields colour \(categorical\), which"),
    ],
)
def test_a_champion_of_something_else_is_refused_before_anything_is_trained(
    theirs: Any, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = {"numeric": {"age": "age"}, "categorical": {"site": "site"}}
    source = {"kind": "files", "path": "x.csv", "fields": fields}
    recipe = build_recipe({"name": "r", "task": "classification", "source": source}, place="r")
    params = recipe.stage_params()["prepare"]
    ours = params.model_dump(mode="json")

    def found(changes: Any) -> None:
        monkeypatch.setattr(champion, "find_training_dataset", lambda params: "some://dataset")
        manifest = SimpleNamespace(params={**ours, **changes})
        monkeypatch.setattr(champion, "read_manifest", lambda uri: manifest)

    found({"kinds": {"age": "numeric"}})  # fewer fields do no harm
    assert find_dataset(params) is None
    found(theirs)
    with pytest.raises(InvalidInputError, match=told):
        find_dataset(params)
