"""How datasets and recipes are named, from places alone."""

from datetime import UTC, datetime

import pytest

from components.catalog import PREPARE
from components.core.gates import Gate
from components.core.observing import Watched
from components.core.recipe import Recipe
from components.core.recipe.reading import build_recipe
from components.core.runs import record_place
from components.telemetry.datasets import bounds, named


@pytest.mark.parametrize(
    ("uri", "namespace", "name"),
    [
        ("/data/shop.csv", "file", "/data/shop.csv"),
        ("file:///data/shop.csv", "file", "/data/shop.csv"),
        ("s3://shop/in/*.csv", "s3://shop", "in/*.csv"),
        ("s3://shop/workspace/demo/model", "s3://shop", "workspace/demo/model"),
        ("s3://shop", "s3://shop", "/"),
    ],
)
def test_places_are_named_as_openlineage_names_them(uri: str, namespace: str, name: str) -> None:
    assert named(uri) == (namespace, name)


@pytest.mark.parametrize("workspace", ["/srv/space", "s3://shop/workspace", "s3://shop"])
@pytest.mark.parametrize("run_id", ["manual-1", "scheduled__2026-11-01T03:00:00+00:00", "7b0d/../x"])
def test_a_record_tells_its_recipe_and_run(workspace: str, run_id: str) -> None:
    document = {"name": "demo-2", "source": {"kind": "synthetic"}, "workspace": workspace}
    recipe: Recipe = build_recipe(
        {**document, "registry": {"tracking_uri": "http://mlflow"}}, [], place="demo-2"
    )
    place = record_place(recipe, run_id, 1, "prepare")
    watched = Watched(spec=PREPARE, inputs={}, place=place, started=datetime.now(UTC))
    assert watched.recipe == "demo-2"
    assert watched.run_id
    assert place.endswith(f"/demo-2/runs/{watched.run_id}/1-prepare.json")


@pytest.mark.parametrize("place", [None, "/tmp/recloop-x/record.json", "s3://shop/record.json"])  # noqa: S108
def test_outside_of_a_run_there_is_none(place: str | None) -> None:
    watched = Watched(spec=PREPARE, inputs={}, place=place, started=datetime.now(UTC))
    assert (watched.recipe, watched.run_id) == (None, None)


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (None, None, None),
        (0.5, None, "at least 0.5"),
        (None, 2, "at most 2"),
        (0, 1, "at least 0, at most 1"),
    ],
)
def test_bounds(low: float | None, high: float | None, told: str | None) -> None:
    assert bounds(Gate(name="x", subject="y", low=low, high=high, passed=True)) == told
