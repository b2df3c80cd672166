"""Recipes of the classification task: what they say, and what contradicts."""

import re
from typing import Any

import pytest

from components.catalog import EVALUATE, INGEST, PREPARE, RETRAIN, SEARCH, STAGES
from components.core.errors import InvalidInputError
from components.core.recipe import ClassificationRecipe, RankingRecipe, Recipe
from components.core.recipe.reading import build_recipe
from components.core.runs import plan

SOURCE = {
    "kind": "files",
    "path": "clicks.csv",
    "label": {"column": "click"},
    "fields": {
        "categorical": {"user": "u", "ad": "a"},
        "numeric": {"age": "age"},
        "multi_valued": {"tags": {"column": "t"}},
    },
    "tables": {
        "ads": {
            "path": "s3://b/ads.csv",
            "field": "ad",
            "key": "id",
            "fields": {"categorical": {"brand": "b"}},
        }
    },
}


def build(**changes: Any) -> Recipe:
    document = {"name": "clicks", "task": "classification", "source": SOURCE, **changes}
    return build_recipe(document, place="clicks")


def test_the_task_chooses_the_recipe() -> None:
    assert isinstance(build(), ClassificationRecipe)
    ranking = build_recipe({"name": "r", "source": {"kind": "synthetic"}}, place="r")
    assert isinstance(ranking, RankingRecipe)
    params = {spec.name: build().stage_params()[spec.name] for spec in STAGES}
    for spec in (INGEST, PREPARE, SEARCH, RETRAIN, EVALUATE):
        assert type(params[spec.name]) is spec.params[1]
        assert spec.parse(params[spec.name].model_dump_json()) == params[spec.name]
        assert spec.parse(ranking.stage_params()[spec.name].model_dump_json()).task == "ranking"


def test_the_order_in_which_fields_are_named_is_of_no_account() -> None:
    recipe = build()
    kinds = recipe.source.kinds()
    assert list(kinds) == ["ad", "age", "brand", "tags", "user"]
    turned = {**SOURCE["fields"], "categorical": {"ad": "a", "user": "u"}}
    assert build(source={**SOURCE, "fields": turned}).stage_params()["prepare"].kinds == kinds
    assert kinds["tags"] == "multi_valued"
    assert recipe.source.locations() == {"source": "clicks.csv", "table_1": "s3://b/ads.csv"}
    assert recipe.stage_params()["prepare"].kinds == kinds


def test_where_files_lie_is_no_part_of_the_key() -> None:
    moved = {
        **SOURCE,
        "path": "elsewhere.csv",
        "tables": {"ads": {**SOURCE["tables"]["ads"], "path": "x.csv"}},
    }
    here, there = (build(source=source).stage_params()["ingest"].identity() for source in (SOURCE, moved))
    assert here == there
    assert "seed" not in here


def with_history(**changes: Any) -> dict[str, Any]:
    """A recipe that has histories and nothing against them, but for some changes."""
    history = {"kind": "earlier", "by": "user", "fields": ["ad", "brand"]}
    source = {**SOURCE, "timestamp": "t", "history": history}
    return {"source": source, "prepare": {"split": {"kind": "temporal"}}, **changes}


def test_a_history_is_one_more_field() -> None:
    recipe = build(**with_history(training={"model": {"kind": "din"}}))
    assert isinstance(recipe, ClassificationRecipe)
    params = recipe.stage_params()["prepare"]
    assert params.kinds["history_ad"] == params.kinds["history_brand"] == "history"
    assert params.histories == {"history_ad": "ad", "history_brand": "brand"}
    assert params.encoding_of("history_ad") == params.encodings.categorical
    assert params.history_length == 50


AMER = {"model": {"kind": "amer", "dim": 9}}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (with_history(prepare={}), "prepare.split.kind: got 'random', need 'temporal'"),
        ({"training": {"model": {"kind": "din"}}}, "got 'din', which needs source.history"),
        (
            {"training": {"model": {"kind": "amer", "blocks": [{"layer": "target"}]}}},
            "training.model.blocks: read histories, which need source.history",
        ),
        (
            {"training": AMER, "search": {"kind": "amer", "steps": ["history"]}},
            "search.steps: got 'history', which needs source.history",
        ),
        (
            with_history(training={"model": {"kind": "amer", "dim": 9, "blocks": [{"layer": "attention4"}]}}),
            "blocks: number 1 is 'attention4', whose 4 parts do not divide 18: dim 9 by 2 fields",
        ),
        (
            with_history(training=AMER, search={"kind": "amer", "steps": ["history"]}),
            "search.blocks.layers: got 'attention4', whose 4 parts do not divide 18",
        ),
        (
            {"training": AMER, "search": {"kind": "amer", "steps": ["mlp", "interactions"]}},
            "need some of ['history', 'interactions', 'mlp'] in this order",
        ),
        (
            with_history(training={"model": {"kind": "amer", "interactions": [["ad", "history_ad"]]}}),
            "training.model.interactions.0: got 'history_ad', need fields of",
        ),
        (
            with_history(
                prepare={
                    "split": {"kind": "temporal"},
                    "encodings": {"fields": {"history_ad": {"kind": "hashed", "buckets": 9}}},
                }
            ),
            "a history is encoded as the field whose values it has",
        ),
    ],
)
def test_what_reads_histories_and_what_does_not(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(told)):
        build(**changes)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"task": "regression"}, "task: got 'regression'"),
        ({"task": ["ranking"]}, "task: got ["),
        ({"prepare": {"core": 5}}, "prepare.core: unknown key"),
        ({"prepare": {"split": {"kind": "temporal"}}}, "which needs source.timestamp"),
        ({"prepare": {"split": {"kind": "leave_one_out"}}}, "prepare.split.kind: got 'leave_one_out'"),
        ({"prepare": {"split": {"kind": "given"}}}, "source.parts is not set"),
        (
            {"prepare": {"encodings": {"fields": {"age": {"kind": "values"}}}}},
            "prepare.encodings.fields.age.kind: got 'values', but the field is numeric, need quantile",
        ),
        (
            {"prepare": {"encodings": {"fields": {"tags": {"kind": "values", "pooling": "sum"}}}}},
            "prepare.encodings.fields.tags.pooling: unknown key (allowed: kind, min_count)",
        ),
        ({"prepare": {"encodings": {"fields": {"agee": {"kind": "log2"}}}}}, "there is no such field"),
        ({"training": {"loss": {"kind": "controlled"}}}, "name its policy with search: {kind: policy"),
        ({"training": {"loss": {"kind": "weighted", "weights": [1, 0]}}}, "need one for each of 4"),
        ({"training": {"loss": {"kind": "weighted", "weights": [1, 1, 0, 0]}}}, "add up to 1"),
        ({"training": {"model": {"kind": "mf"}}}, "training.model.kind: got 'mf'"),
        ({"training": {"metric": "ndcg@20"}}, "training.metric: got 'ndcg@20'"),
        ({"search": {"kind": "autosample"}}, "search.kind: got 'autosample'"),
        ({"search": {"kind": "autoloss", "batches": "train", "lookahead": 0.1}}, "batches is 'train'"),
        ({"search": {"kind": "autoloss", "losses": [{"kind": "focal"}] * 2}}, "each kind at most once"),
        ({"search": {"kind": "bohb", "min_epochs": 20}}, "need at most epochs, 9"),
        (
            {"training": {"model": {"kind": "amer", "interactions": [["user", "colour"]]}}},
            "training.model.interactions.0: got 'colour', need fields of",
        ),
        (
            {"training": {"model": {"kind": "nfm"}}, "search": {"kind": "autofis"}},
            "training.model.kind: got 'nfm', need 'deepfm', as search.kind is 'autofis'",
        ),
        (
            {"training": {"model": {"kind": "deepfm", "interactions": []}}, "search": {"kind": "autofis"}},
            "training.model.interactions: got none, need some",
        ),
        ({"evaluation": {"slices": ["colour"]}}, "evaluation.slices.0: got 'colour', need one of the fields"),
        ({"promotion": {"guardrails": [{"metric": "auc", "field": "ad"}]}}, "need both or none"),
        (
            {"promotion": {"guardrails": [{"metric": "auc", "field": "x", "value": "1"}]}},
            "guardrails.0.field: got 'x'",
        ),
        (
            {"promotion": {"limits": {"auc": {"min": 55}}}},
            "promotion.limits: auc: min: got 55, need a number from 0 to 1",
        ),
        (
            {"promotion": {"bounds": {"calibration": {"max": -1}}}},
            "promotion.bounds: calibration: max: got -1, need a number of 0 or more",
        ),
        ({"quality": {"previous": {"gap_s": {"min": 0}}}}, "previous.gap_s: has a bound"),
        (
            {
                "quality": {
                    "expectations": [
                        {
                            "expect": "expect_column_values_to_be_unique",
                            "table": "users",
                            "arguments": {"column": "a"},
                        }
                    ]
                }
            },
            "quality.expectations.0.table: got 'users'",
        ),
        ({"source": {**SOURCE, "fields": {}, "tables": {}}}, "need at least one"),
        ({"source": {**SOURCE, "fields": {"categorical": {"label": "l"}}}}, "need names other than"),
        ({"source": {**SOURCE, "label": {"column": "a"}}}, "['ad'] are read from the label's column, 'a'"),
        ({"source": {**SOURCE, "label": {"classes": ["1", "1"]}}}, "need each value once"),
        (
            {"source": {**SOURCE, "label": {"thresholds": [4], "classes": ["a", "b", "c"]}}},
            "classes: got ['a', 'b', 'c'], need 2 names, one more than there are thresholds",
        ),
        ({"source": {**SOURCE, "label": {"thresholds": [4, 2]}}}, "got [4.0, 2.0], need numbers that ascend"),
        ({"source": {**SOURCE, "label": {"range": {"max": 5}}}}, "is of numbers, which need thresholds"),
        ({"source": {**SOURCE, "required": ["other"]}}, "required: got ['other'], need some of fields"),
        (
            {
                "source": {
                    **SOURCE,
                    "label": {"classes": ["1", "2", "3"]},
                },
                "promotion": {"limits": {"calibration": {"max": 1.1}}},
            },
            "promotion.limits.calibration: is of two classes",
        ),
    ],
)
def test_mistakes_are_told_with_their_place(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        build(**changes)
    assert told in str(raised.value)


def test_a_recipe_without_a_task_is_told_which_it_looks_like() -> None:
    with pytest.raises(InvalidInputError) as raised:
        build_recipe({"name": "clicks", "source": SOURCE}, place="clicks")
    assert "task: missing; with task: classification it has fewer mistakes" in str(raised.value)
    with pytest.raises(InvalidInputError) as raised:
        build_recipe({"name": "r", "source": {"kind": "synthetic", "num_users": "many"}}, place="r")
    assert "task:" not in str(raised.value)
    misspelt = {"name": "r", "source": {"kind": "synthetic"}, "registry": {"model": "${modle}"}}
    with pytest.raises(InvalidInputError) as raised:
        build_recipe(misspelt, place="r")
    assert "task:" not in str(raised.value)


def test_a_policy_is_an_input_of_the_search() -> None:
    recipe = build(search={"kind": "policy", "uri": "s3://b/policy/abc"})
    todo = plan(recipe, SEARCH, {"dataset": "/artifacts/dataset"})
    assert todo.inputs == {"dataset": "/artifacts/dataset", "policy": "s3://b/policy/abc"}
    other = build(search={"kind": "policy", "uri": "elsewhere"})
    assert todo.params.identity() == other.stage_params()["search"].identity()
    assert plan(build(), SEARCH, {"dataset": "/d"}).inputs == {"dataset": "/d"}
