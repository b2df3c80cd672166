import copy
import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from components.core.recipe import RankingRecipe
from components.core.recipe.reading import read_recipe
from components.core.recipe.schema import recipe_schema
from components.core.recipe.yaml import parse_yaml
from components.core.recipe_files import included

SCHEMA = recipe_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
INCLUDED = sorted(included().items())


def test_it_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


def test_every_key_says_what_it_is():
    silent = [
        f"{name}.{key}"
        for name, model in SCHEMA["$defs"].items()
        for key, node in model.get("properties", {}).items()
        if key != "kind" and "description" not in node and "$ref" not in node
    ]
    assert not silent


def test_there_are_these_recipes():
    assert [name for name, _ in INCLUDED] == [
        "avazu",
        "beauty",
        "clicks",
        "criteo",
        "demo",
        "gowalla",
        "ml-100k",
        "ml-100k-clicks",
        "ml-100k-hybrid",
        "ml-100k-ratings",
        "ml-100k-stream",
        "ml-100k-stream-stars",
        "ml-latest-small-stream",
        "ml-latest-small-stream-stars",
        "stream",
        "taobao-buy",
        "yoochoose",
    ]


@pytest.mark.parametrize(("name", "path"), INCLUDED)
def test_included_recipes_are_valid_before_and_after_their_parameters(name, path):
    document = parse_yaml(path.read_text())
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []
    recipe = read_recipe(path)
    assert recipe.name == name
    assert [error.message for error in VALIDATOR.iter_errors(recipe.document())] == []
    assert read_recipe(path, ["seed=9"]).seed == 9
    if recipe.task != "stream":  # which is passed once
        assert read_recipe(path, ["epochs=1"]).training.epochs == 1
    if recipe.source.kind != "synthetic":
        moved = read_recipe(path, ["data=s3://bucket/data"])
        assert all(uri.startswith("s3://bucket/data/") for uri in moved.source.locations().values())
        assert "https://" in recipe.description


@pytest.mark.parametrize(
    "change",
    [
        {"trainin": {}},
        {"training": {"epocs": 1}},
        {"training": {"epochs": 0}},
        {"training": {"epochs": "$epochs"}},
        {"training": {"model": {"dim": 3}}},
        {"training": {"model": {"kind": "nf"}}},
        {"prepare": {"core": -1}},
        {"prepare": {"split": {"kind": "random", "ratio": [0, 0, 0]}}},
        {"promotion": {"floors": {"rcall@20": 0.1}}},
        {"search": {"kind": "autosample", "samplers": [{"kind": "dns"}]}},
    ],
)
def test_editors_see_what_the_recipe_refuses(change):
    document = {"name": "toy", "source": {"kind": "synthetic"}}
    VALIDATOR.validate(document)
    assert list(VALIDATOR.iter_errors({**document, **change}))


@given(
    st.sampled_from(
        ["batch_size", "epochs", "l2", "learning_rate", "device", "metric", "sampler", "nothing"]
    ),
    st.integers(-2, 3) | st.floats(-1, 1) | st.sampled_from(["auto", "ndcg@20", "x", None, {"kind": "dns"}]),
)
def test_schema_and_recipe_agree(key, value):
    document = {"name": "toy", "source": {"kind": "synthetic"}, "training": {key: value}}
    try:
        RankingRecipe.model_validate(copy.deepcopy(document))
        accepted = True
    except ValidationError:
        accepted = False
    assert VALIDATOR.is_valid(document) == accepted


def test_the_committed_schema_is_the_one_that_is_printed():
    (folder,) = {path.parent for _, path in INCLUDED}
    committed = json.loads((folder.parent / "recipe.schema.json").read_text())
    assert committed == SCHEMA, "write it anew: recloop schema > pipelines/recipe.schema.json"
