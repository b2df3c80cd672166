"""What the champion was made from is looked for where a recipe bounds how far data may be from it."""

from typing import Any

import pytest

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
    for quality, expected in (({}, 0), (BOUNDS[task], 2)):
        recipe = build_recipe(
            {"name": "r", "task": task, "source": {"kind": "synthetic"}, "quality": quality}, place="r"
        )
        params = recipe.stage_params()
        assert find_dataset(params["prepare"]) is None
        assert find_interactions(params["ingest"]) is None
        assert len(asked) == expected
