"""Recipes of the stream task: what they say, and what contradicts."""

from typing import Any

import pytest

from components.catalog import EVALUATE, INGEST, PREPARE, RETRAIN, SEARCH, STAGES
from components.core.errors import InvalidInputError
from components.core.recipe import RECIPES, Recipe, StreamRecipe
from components.core.recipe.reading import build_recipe
from components.core.recipe.stream import Darts, Esapn, FixedSize
from components.core.runs import plan

SOURCE: dict[str, Any] = {
    "kind": "files",
    "path": "ratings.csv",
    "label": {"column": "rating", "thresholds": [4], "range": {"min": 0.5, "max": 5}},
    "fields": {"categorical": {"user": "u", "item": "i"}},
    "timestamp": "t",
}
OF_ITEMS = {"path": "films.csv", "field": "item", "key": "id", "fields": {"categorical": {"brand": "b"}}}
SEVERAL = {"kind": "synthetic", "num_classes": 3}
UNIQUE = {"expect": "expect_column_values_to_be_unique", "arguments": {"column": "user"}}


def build(**changes: Any) -> Recipe:
    return build_recipe({"name": "clicks", "task": "stream", "source": SOURCE, **changes}, place="clicks")


def changed(**changes: Any) -> dict[str, Any]:
    """The recipe's source with other values."""
    return {"source": {**SOURCE, **changes}}


def test_the_task_chooses_the_recipe_and_every_stage_reads_its_parameters() -> None:
    recipe = build()
    assert isinstance(recipe, StreamRecipe)
    assert RECIPES["stream"] is StreamRecipe
    params = recipe.stage_params()
    assert list(params) == [spec.name for spec in STAGES]
    for spec in (INGEST, PREPARE, SEARCH, RETRAIN, EVALUATE):
        assert type(params[spec.name]) is spec.params[2]
        assert params[spec.name].task == "stream"
        assert spec.parse(params[spec.name].model_dump_json()) == params[spec.name]
    assert params["register"].task == "stream"


def test_what_a_recipe_says_that_leaves_all_to_the_defaults() -> None:
    recipe = build()
    assert (recipe.prepare.order, recipe.prepare.test_tail) == ("sort", 0.2)
    assert recipe.search.kind == "none"
    assert recipe.training.embedding == FixedSize(size=128)
    assert (recipe.training.batch_size, recipe.training.warm_start) == (500, "champion")
    assert recipe.promotion.metric == "logloss"
    assert Esapn().sizes == Darts().sizes == (2, 4, 8, 16, 64, 128)
    assert list(recipe.tables()) == ["interactions", "train", "test", "users", "items"]


def test_a_row_without_user_or_item_is_of_no_use_to_ingest() -> None:
    """The stage requires both, without the recipe having to say so."""
    recipe = build()
    assert recipe.source.required == ()
    assert sorted(recipe.stage_params()["ingest"].source.required) == ["item", "user"]
    made_up = build(source={"kind": "synthetic"})
    assert made_up.stage_params()["ingest"].source == made_up.source


@pytest.mark.parametrize(("warm_start", "goes_on"), [("champion", True), ("none", False)])
def test_what_the_champion_knows_is_left_out_where_training_goes_on_from_it(
    warm_start: str, goes_on: bool
) -> None:
    params = build(training={"warm_start": warm_start}).stage_params()
    assert params["prepare"].goes_on is goes_on
    assert params["search"].training.warm_start == params["retrain"].training.warm_start == warm_start
    assert params["prepare"].identity()["goes_on"] is goes_on


@pytest.mark.parametrize(
    ("registry", "name"), [({}, "clicks"), ({"model": "films", "tracking_uri": "sqlite:///x.db"}, "films")]
)
def test_every_stage_that_asks_for_the_champion_names_the_registered_model(
    registry: dict[str, str], name: str
) -> None:
    recipe = build(registry=registry, search={"kind": "esapn"})
    params = recipe.stage_params()
    for stage in ("ingest", "prepare", "search", "retrain", "evaluate", "register"):
        assert (params[stage].model, params[stage].tracking_uri) == (name, recipe.tracking_uri)
    if registry:
        assert recipe.tracking_uri == "sqlite:///x.db"


def test_where_the_champion_is_registered_and_files_lie_is_no_part_of_the_key() -> None:
    here = build().stage_params()
    there = build(**changed(path="elsewhere.csv"), registry={"model": "other"}).stage_params()
    for stage in ("ingest", "prepare", "search", "retrain"):
        assert here[stage].identity() == there[stage].identity()
    assert "seed" not in here["ingest"].identity()
    assert build(source=SEVERAL).stage_params()["ingest"].identity()["seed"] == 2023


def test_prepare_gets_what_the_source_and_the_quality_section_say() -> None:
    asked = [{**UNIQUE, "table": table} for table in ("interactions", "users", "train")]
    quality = {"expectations": asked, "vocabulary": {"unknown": {"max": 0.5, "severity": "stop"}}}
    recipe = build(**changed(missing=["", "NA"]), quality=quality, prepare={"order": "require"})
    params = recipe.stage_params()
    prepare = params["prepare"]
    assert (prepare.order, prepare.test_tail) == ("require", 0.2)
    assert (prepare.classes, prepare.missing) == (("0", "1"), ("", "NA"))
    assert prepare.vocabulary.unknown.max == 0.5
    tables = {
        stage: [each.table for each in found]
        for stage, found in (
            ("ingest", params["ingest"].quality.expectations),
            ("prepare", prepare.expectations),
        )
    }
    assert tables == {"ingest": ["interactions"], "prepare": ["users", "train"]}


def test_search_and_retraining_share_a_seed_of_their_own() -> None:
    params = build(training={"seed": 7}).stage_params()
    assert [params[stage].seed for stage in ("ingest", "prepare", "search", "retrain", "evaluate")] == [
        2023, 2023, 7, 7, 2023,
    ]  # fmt: skip


def test_a_policy_is_an_input_of_the_search() -> None:
    recipe = build(search={"kind": "policy", "uri": "s3://b/policy/abc"})
    todo = plan(recipe, SEARCH, {"dataset": "/artifacts/dataset"})
    assert todo.inputs == {"dataset": "/artifacts/dataset", "policy": "s3://b/policy/abc"}


def test_mistakes_of_several_sections_are_told_at_once() -> None:
    with pytest.raises(InvalidInputError) as raised:
        build(
            **changed(fields={"categorical": {"user": "u"}}, timestamp=None),
            training={"embedding": {"kind": "darts"}},
            quality={"vocabulary": {"kept_values": {"max": 0.5}}},
        )
    assert [line.split(":")[0].strip() for line in str(raised.value).splitlines()[1:]] == [
        "source.fields",
        "source.timestamp",
        "training.embedding.kind",
        "quality.vocabulary.kept_values",
    ]


CONTRADICTIONS: list[tuple[dict[str, Any], list[str]]] = [
    (
        changed(fields={"categorical": {"user": "u"}}),
        ["source.fields: got user (categorical), need user and item, both categorical"],
    ),
    (
        changed(fields={"categorical": {"user": "u", "item": "i", "genre": "g"}}),
        [
            "source.fields: got genre (categorical), item (categorical), user (categorical), need user and "
            "item, both categorical"
        ],
    ),
    (
        changed(fields={"categorical": {"item": "i"}, "numeric": {"user": "u"}}),
        ["source.fields: got item (categorical), user (numeric), need user and item, both categorical"],
    ),
    (
        changed(fields={"categorical": {"user": "u"}, "multi_valued": {"item": {"column": "i"}}}),
        ["source.fields: got item (multi_valued), user (categorical), need user and item, both categorical"],
    ),
    (changed(timestamp=None), ["source.timestamp: missing; a stream has an order"]),
    (
        changed(path=None, parts={"train": "a.csv", "test": "b.csv"}),
        ["source.parts: a stream is not split; name its `path`"],
    ),
    (
        changed(tables={"films": OF_ITEMS}),
        [
            "source.fields: got brand (categorical), item (categorical), user (categorical), need user and "
            "item, both categorical",
            "source.tables: got films; a stream knows users and items by id",
        ],
    ),
    (
        changed(label={"thresholds": [4, 2]}),
        ["source.label: thresholds: got [4.0, 2.0], need numbers that ascend"],
    ),
    (
        changed(label={"thresholds": [4, 4], "classes": ["a", "b", "c"]}),
        ["source.label: thresholds: got [4.0, 4.0], need numbers that ascend"],
    ),
    (
        changed(label={"thresholds": [2, 4]}),
        ["source.label: classes: got ['0', '1'], need 3 names, one more than there are thresholds"],
    ),
    (
        changed(label={"range": {"max": 5}}),
        ["source.label: range: is of numbers, which need thresholds to become classes"],
    ),
    ({"source": {**SEVERAL, "delivery": 0}}, ["source.delivery: got 0, need greater than or equal to 1"]),
    ({"prepare": {"test_tail": 0}}, ["prepare.test_tail: got 0, need greater than 0"]),
    ({"prepare": {"test_tail": 1}}, ["prepare.test_tail: got 1, need less than 1"]),
    ({"prepare": {"order": "none"}}, ["prepare.order: got 'none', need 'sort' or 'require'"]),
    (
        {"prepare": {"split": {"kind": "random"}}},
        ["prepare.split: unknown key (allowed: attempt, order, test_tail)"],
    ),
    (
        {"training": {"embedding": {"kind": "esapn"}}},
        ["training.embedding.kind: got 'esapn', which is a search; write it as `search`"],
    ),
    (
        {"training": {"model": {"kind": "deepfm"}}},
        ["training.model.kind: got 'deepfm', need 'mlp'"],
    ),
    ({"training": {"device": "cuda"}}, ["training.device: got 'cuda', need 'auto' or 'cpu'"]),
    (
        {"training": {"warm_start": "search"}},
        ["training.warm_start: got 'search', need 'champion' or 'none'"],
    ),
    (
        {"training": {"epochs": 3}},
        [
            "training.epochs: unknown key (allowed: batch_size, device, embedding, learning_rate, model, "
            "seed, warm_start)"
        ],
    ),
    ({"search": {"kind": "esapn", "sizes": [4, 2]}}, ["search.sizes: got [4, 2], need sizes that ascend"]),
    (
        {"search": {"kind": "darts", "sizes": [2, 4, 4]}},
        ["search.sizes: got [2, 4, 4], need sizes that ascend"],
    ),
    (
        {"search": {"kind": "autoemb", "sizes": [2]}},
        ["search.sizes: got [2], need to have at least 2 items, not 1"],
    ),
    (
        {"search": {"kind": "esapn", "sizes": [0, 2]}},
        ["search.sizes.0: got 0, need greater than or equal to 1"],
    ),
    (
        {"search": {"kind": "esapn", "history": 0}},
        ["search.history: got 0, need greater than or equal to 1"],
    ),
    (
        {"search": {"kind": "autoloss"}},
        ["search.kind: got 'autoloss', need one of 'none', 'esapn', 'darts', 'autoemb', 'policy'"],
    ),
    (
        {"quality": {"vocabulary": {"kept_values": {"min": 0.5}}}},
        ["quality.vocabulary.kept_values: has a bound, but a stream forgets no user and no item"],
    ),
    (
        {"quality": {"expectations": [{**UNIQUE, "table": "valid"}]}},
        [
            "quality.expectations.0.table: got 'valid', need one of ['interactions', 'train', 'test', "
            "'users', 'items']"
        ],
    ),
    (
        {"source": SEVERAL, "promotion": {"limits": {"calibration": {"max": 1.1}}}},
        ["promotion.limits.calibration: is of two classes, take ece for several"],
    ),
    (
        {"source": SEVERAL, "promotion": {"limits": {"ece": {"max": 1}}, "bounds": {"mse": {"max": 0.2}}}},
        ["promotion.bounds.mse: is of two classes, take logloss for several"],
    ),
    (
        {"promotion": {"guardrails": [{"metric": "auc", "field": "user_seen"}]}},
        ["promotion.guardrails.0: field and value: got one without the other, need both or none"],
    ),
    (
        {"promotion": {"guardrails": [{"metric": "auc"}, {"metric": "auc", "value": "0"}]}},
        ["promotion.guardrails.1: field and value: got one without the other, need both or none"],
    ),
    (
        {"promotion": {"guardrails": [{"metric": "auc", "field": "item_seen", "value": "1-10"}]}},
        ["promotion.guardrails.0.value: got '1-10', need '0', '1-9', '10-99', '100-999' or '1000+'"],
    ),
    (
        {"promotion": {"guardrails": [{"metric": "auc", "field": "item", "value": "0"}]}},
        ["promotion.guardrails.0.field: got 'item', need 'user_seen' or 'item_seen'"],
    ),
    ({"evaluation": {"slices": ["user"]}}, ["evaluation.slices: unknown key (allowed: attempt, batch_size)"]),
]


@pytest.mark.parametrize(
    ("changes", "told"), CONTRADICTIONS, ids=[told[-1].split(",")[0][:60] for _, told in CONTRADICTIONS]
)
def test_each_contradiction_is_told_with_its_place_and_nothing_else(
    changes: dict[str, Any], told: list[str]
) -> None:
    with pytest.raises(InvalidInputError) as raised:
        build(**changes)
    assert [line.strip() for line in str(raised.value).splitlines()[1:]] == told


@pytest.mark.parametrize(
    "changes",
    [
        {"search": {"kind": "esapn", "sizes": [1, 2]}},
        {"search": {"kind": "darts"}},
        {"search": {"kind": "autoemb", "history": 1}},
        {"training": {"embedding": {"kind": "fixed", "size": 1}}},
        {"promotion": {"limits": {"calibration": {"max": 1.1}}, "bounds": {"mse": {"max": 0.2}}}},
        {"promotion": {"guardrails": [{"metric": "auc", "field": "item_seen", "value": "1000+"}]}},
        {"quality": {"vocabulary": {"unknown": {"max": 0.1}}}},
        {**changed(label={"thresholds": [2, 4], "classes": ["a", "b", "c"]})},
        {**changed(fields={"categorical": {"item": "i", "user": "u"}}, required=["user"])},
    ],
)
def test_what_is_no_contradiction_is_taken(changes: dict[str, Any]) -> None:
    assert isinstance(build(**changes), StreamRecipe)
