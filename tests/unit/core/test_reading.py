import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.errors import InvalidInputError
from components.core.recipe import RankingRecipe, absolute_uri
from components.core.recipe.reading import build_recipe, read_recipe

DOCUMENT = {
    "name": "toy",
    "parameters": {"data": {"default": "x/y"}, "epochs": {"default": 3}, "rate": {"default": 0.5}},
    "source": {"kind": "files", "path": "${data}/a.csv"},
    "search": {"kind": "autosample", "samplers": [{"kind": "dns"}, {"kind": "uniform"}]},
    "training": {"epochs": "${epochs}", "learning_rate": "${rate}"},
}


def build(*overrides, **sections):
    return build_recipe({**DOCUMENT, **sections}, overrides, place="toy.yaml")


def mistakes(*overrides, **sections):
    """The lines of the error, without the place."""
    with pytest.raises(InvalidInputError) as caught:
        build(*overrides, **sections)
    first, *lines = str(caught.value).splitlines()
    count = re.fullmatch(r"recipe toy\.yaml: (\d+) mistakes?", first)
    assert count, first
    assert int(count[1]) == len(lines)
    return [line.strip() for line in lines]


def test_parameters_keep_their_type_where_they_are_the_whole_value():
    recipe = build()
    assert recipe.training.epochs == 3
    assert recipe.training.learning_rate == 0.5
    assert recipe.source.locations() == {"source": "x/y/a.csv"}


@pytest.mark.parametrize(
    ("override", "look", "expected"),
    [
        ("epochs=7", lambda r: r.training.epochs, 7),
        ("parameters.epochs.default=7", lambda r: r.training.epochs, 7),
        ("training.epochs=9", lambda r: r.training.epochs, 9),
        ("training.model.dim=8", lambda r: (r.training.model.kind, r.training.model.dim), ("mf", 8)),
        ("training.model.kind=lightgcn", lambda r: r.training.model.num_layers, 3),
        ("training.learning_rate=1e-2", lambda r: r.training.learning_rate, 0.01),
        ("search.samplers.1.kind=aobpr", lambda r: r.search.samplers[1].lambda_, 500.0),
        ("search.samplers.0.pool_size=4", lambda r: r.search.samplers[0].pool_size, 4),
        ("search={kind: none}", lambda r: r.search.kind, "none"),
        ("prepare.core={users: 2, items: 3}", lambda r: r.prepare.thresholds().items, 3),
        ("prepare.split.ratio=[8, 1, 1]", lambda r: r.prepare.split.ratio, (8, 1, 1)),
        ("orchestration.tags=[a, b]", lambda r: r.orchestration.tags, ("a", "b")),
        ("registry.model=other", lambda r: r.model_name, "other"),
        ("data=2024", lambda r: r.source.path, "2024/a.csv"),
        ("data=s3://bucket/in: here", lambda r: r.source.path, "s3://bucket/in: here/a.csv"),
        (" seed = 5 ", lambda r: r.seed, 5),
    ],
)
def test_overrides(override, look, expected):
    assert look(build(override)) == expected


def test_a_later_override_wins_and_the_document_is_left_alone():
    assert build("epochs=7", "epochs=8").training.epochs == 8
    assert DOCUMENT["parameters"]["epochs"] == {"default": 3}
    assert build().training.epochs == 3


@given(st.integers(1, 10**9), st.floats(1e-12, 1e12), st.text("abc ./:-_é", min_size=1).map(str.strip))
def test_an_override_is_what_the_recipe_would_have_said(epochs, rate, path):
    written = build(training={"epochs": epochs, "learning_rate": rate})
    said = build(f"training.epochs={epochs}", f"training.learning_rate={rate!r}")
    assert said.training == written.training
    assert build(f"data={path}").source.path == f"{path}/a.csv"


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("epoch=3", ["'epoch'", "did you mean 'epochs'", "['data', 'epochs', 'rate']"]),
        ("trainin.epochs=3", ["'trainin'", "did you mean 'training'"]),
        ("epochs", ["need key=value"]),
        ("=3", ["need key=value"]),
        ("training.l2=[1", ["not valid YAML"]),
        ("search.samplers.7.kind=dns", ["got '7'", "a list of 2"]),
        ("name.first=a", ["'toy'", "has no keys"]),
    ],
)
def test_an_override_that_cannot_be(override, parts):
    with pytest.raises(InvalidInputError) as caught:
        build(override)
    assert str(caught.value).startswith("--set ")
    for part in parts:
        assert part in str(caught.value)


def test_an_override_of_a_misspelt_key_below_a_section():
    (line,) = mistakes("training.modle.dim=3")
    assert line.startswith("training.modle: unknown key; did you mean 'model'? (allowed: batch_size, ")


def test_an_unknown_key_is_told_as_it_stands_there() -> None:
    (line,) = mistakes(**{"evaluation[1,2]": 3})
    assert line.startswith("evaluation[1,2]: unknown key; did you mean 'evaluation'? (allowed: ")


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"prepare": {"core": -1}},
         "prepare.core: got -1, need greater than or equal to 1 or a mapping with the keys items, users"),
        ({"prepare": {"core": {"users": 2}}}, "prepare.core.items: missing"),
        ({"prepare": {"core": []}},
         "prepare.core: got [], need a valid integer or a mapping with the keys items, users"),
        ({"prepare": {"split": {"kind": "random", "ratio": [3, 1]}}}, "prepare.split.ratio.2: missing"),
        ({"prepare": {"split": {"ratio": [3, 1, 1]}}}, "prepare.split.kind: missing"),
        ({"prepare": 3}, "prepare: got 3, need a mapping with the keys core, min_rating, split, unseen"),
        ({"training": {"sampler": {"kind": "uniforn"}}},
         "training.sampler.kind: got 'uniforn', need one of 'uniform', 'popularity', 'dns', 'aobpr', "
         "'srns', 'mixgcf'"),
        ({"training": {"metric": "ndcg"}},
         "training.metric: got 'ndcg', need to match pattern "
         "'^(recall|ndcg|precision|hit_ratio)@[1-9][0-9]*$'"),
        ({"training": {"learning_rate": float("nan")}},
         "training.learning_rate: got nan, need a finite number"),
        ({"search": {"kind": "autosample", "samplers": [{"kind": "dns"}]}},
         "search.samplers: got [{'kind': 'dns'}], need to have at least 2 items, not 1"),
        ({"search": {"kind": "autosample",
                     "samplers": [{"kind": "dns", "pool_size": 0}, {"kind": "uniform"}]}},
         "search.samplers.0.pool_size: got 0, need greater than or equal to 1"),
        ({"search": {"kind": "autosample", "samplers": [{"kind": "dns"}, {"kind": "dns"}]}},
         "search.samplers: got ['dns', 'dns'], need each kind at most once"),
        ({"evaluation": {"ks": 7}}, "evaluation.ks: got 7, need a list"),
        ({"evaluation": {"ks": [0]}}, "evaluation.ks.0: got 0, need greater than or equal to 1"),
        ({"source": {"kind": "files"}}, "source: needs either `path` or `parts`, and not both"),
        ({"promotion": {"floors": {"ndcg@5": 0.1}}},
         "promotion: ['ndcg@5'] is never measured; evaluation.ks is [10, 20]"),
        ({"name": "Toy Story"}, "name: got 'Toy Story', need to match pattern '^[a-z0-9][a-z0-9_-]{0,62}$'"),
        ({"description": "${dta}"},
         "description: got ${dta}, need one of the parameters ['data', 'epochs', 'rate']"),
        ({"training": {"epochs": "${epoch}"}},
         "training.epochs: got ${epoch}, need one of the parameters ['data', 'epochs', 'rate']"),
        ({"registry": {"tracking_uri": "https://me:secret@host"}},
         "registry.tracking_uri: holds a password; put it into MLFLOW_TRACKING_PASSWORD instead"),
    ],
)  # fmt: skip
def test_each_mistake_is_one_line_with_path_value_and_what_is_allowed(sections, expected):
    assert mistakes(**sections) == [expected]


def test_a_ratio_of_zeros_names_both_parts_that_must_not_be_empty():
    assert mistakes(prepare={"split": {"kind": "random", "ratio": [0, 0, 0]}}) == [
        "prepare.split.ratio.0: got 0, need greater than 0",
        "prepare.split.ratio.2: got 0, need greater than 0",
    ]


def test_all_mistakes_are_told_at_once():
    lines = mistakes(
        name="!", seed=-1, training={"model": {"kind": "mf", "dim": 0}, "epocs": 3}, prepare={"core": "ten"}
    )
    assert {line.partition(":")[0] for line in lines} == {
        "name", "seed", "training.model.dim", "training.epocs", "prepare.core"
    }  # fmt: skip


def test_a_long_value_is_cut():
    (line,) = mistakes(training=["x" * 500])
    assert len(line) < 400
    assert "…, need a mapping with the keys" in line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty"),
        ("- a\n- b\n", "got a list, need a mapping of sections"),
        ("name: [\n", "not valid YAML"),
        ("name: a\nname: b\n", "the key 'name' stands twice, first on line 1"),
    ],
)
def test_files_that_are_no_recipe(tmp_path, text, expected):
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(InvalidInputError) as caught:
        read_recipe(path)
    assert str(caught.value).startswith(f"recipe {path}: ")
    assert expected in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InvalidInputError, match=r"cannot be read: No such file"):
        read_recipe(tmp_path / "none.yaml")
    with pytest.raises(InvalidInputError, match=r"cannot be read: Is a directory"):
        read_recipe(tmp_path)
    (tmp_path / "r.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(InvalidInputError, match="not text in UTF-8"):
        read_recipe(tmp_path / "r.yaml")


def test_a_yaml_error_names_the_file_and_the_line(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("name: toy\nsource: {kind: files\n")
    with pytest.raises(InvalidInputError, match=rf"{re.escape(str(path))}\", line 3"):
        read_recipe(path)


def test_a_recipe_survives_its_own_document():
    recipe = build()
    assert RankingRecipe.model_validate(recipe.document()) == recipe


def test_where_the_data_lies_is_not_part_of_the_identity_but_everything_else_is():
    here, there = build().stage_params(), build("data=elsewhere").stage_params()
    assert here["ingest"].identity() == there["ingest"].identity()
    assert here["ingest"].identity()["source"]["format"] == {
        "kind": "delimited",
        "delimiter": ",",
        "header": True,
    }
    other = build("source.columns.user=uid").stage_params()
    assert other["ingest"].identity() != here["ingest"].identity()
    assert build("seed=7").stage_params()["ingest"].identity() == here["ingest"].identity()


@pytest.mark.parametrize("key", ["model", "tracking_uri"])
def test_a_verdict_belongs_to_one_registry(key):
    other = build(f"registry.{key}=other").stage_params()["evaluate"].identity()
    assert other != build().stage_params()["evaluate"].identity()


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("schedule={kind: cron, cron: 99 3 * * *}", "schedule.cron: got '99' for the minute, need 0 to 59"),
        ("schedule={kind: cron, cron: 0 3 * * *, timezone: Mars/Base}", "schedule.timezone: got 'Mars/Base'"),
        ("workspace=ftp://x/y", "workspace: got 'ftp://x/y', need a directory or s3://"),
        ("source.columns.user=-1", "source.columns.user: got -1, need"),
        ("source.columns={user: a, item: a}", "source.columns: user and item: got 'a' for both"),
        ("source.columns.features={rating: r}", "source.columns: features: got ['rating'], need names other"),
        ("source.format.kind=adjacency", "columns: an adjacency list has none to name"),
        ("prepare.min_rating=4", "prepare.min_rating: got 4.0, which needs source.columns.rating"),
    ],
)
def test_what_cannot_run_is_refused(override, told):
    with pytest.raises(InvalidInputError, match=re.escape(told)):
        build(override, "source.columns.timestamp=t")


@pytest.mark.parametrize("cron", ["*/15 3,4 1-7 * 0", "@daily", "0 0 * JAN MON-FRI", "59 23 31 12 7"])
def test_cron_forms(cron):
    assert build(f"schedule={{kind: cron, cron: '{cron}'}}").schedule.cron == cron


def test_what_validates_needs_validation_data():
    with pytest.raises(InvalidInputError) as error:
        build(
            "prepare.split={kind: random, ratio: [4, 0, 1]}",
            "search={kind: autosample}",
            "training.warm_check={}",
        )
    text = str(error.value)
    assert "search.kind: got 'autosample', which needs validation data" in text
    assert "training.warm_check: needs validation data" in text


def test_contradictions_between_sections_are_told_together():
    with pytest.raises(InvalidInputError) as error:
        build("promotion.metric=ndcg@7", "prepare.split={kind: given}", "prepare.min_rating=4")
    text = str(error.value)
    assert "3 mistakes" in text
    for place in ("promotion: ['ndcg@7']", "prepare.split.kind: got 'given'", "prepare.min_rating: got 4.0"):
        assert f"\n  {place}" in text


def test_places(monkeypatch, tmp_path):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("RECLOOP_HOME", str(tmp_path))
    monkeypatch.delenv("RECLOOP_WORKSPACE", raising=False)
    assert build().locations() == {"source": f"{tmp_path}/x/y/a.csv"}
    assert build().workspace_uri == f"{tmp_path}/workspace"
    assert build().tracking_uri == f"sqlite:///{tmp_path}/workspace/mlflow.db"
    monkeypatch.setenv("RECLOOP_WORKSPACE", "s3://bucket/prefix/")
    assert build().workspace_uri == "s3://bucket/prefix"
    with pytest.raises(InvalidInputError, match=r"registry.tracking_uri: missing"):
        _ = build().tracking_uri
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow")
    assert build().tracking_uri == "http://mlflow"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://mlflow:hunter2@db/mlflow")
    with pytest.raises(InvalidInputError, match="MLFLOW_TRACKING_URI: holds a password") as refused:
        _ = build().tracking_uri
    assert "hunter2" not in str(refused.value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow")
    assert build(workspace="/elsewhere").workspace_uri == "/elsewhere"
    assert absolute_uri("file:///x") == "/x"
    monkeypatch.setenv("RECLOOP_WORKSPACE", "")  # set, but empty: as if it were not
    assert build().workspace_uri == f"{tmp_path}/workspace"


SEQUENCE = (
    "training.model={kind: sasrec}",
    "prepare.split={kind: leave_one_out}",
    "evaluation.mask=train_valid",
)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ((), "source.columns.timestamp: is not there"),
        (("prepare.split={kind: random}",), "prepare.split.kind: got 'random', which asks about the past"),
        (
            ("evaluation.mask=train",),
            "evaluation.mask: got 'train'; training.model.kind 'sasrec' reads histories",
        ),
        (
            ("training.sampler={kind: aobpr}",),
            "sampler.kind: got 'aobpr', which looks at all users at every step",
        ),
        (
            ("search={kind: autosample, samplers: [{kind: uniform}, {kind: srns}]}",),
            "search.samplers.1.kind: got 'srns', which looks at all users at every step",
        ),
    ],
)
def test_what_models_cannot_do_that_read_histories(overrides, told):
    times = () if not overrides else ("source.columns.timestamp=t",)
    with pytest.raises(InvalidInputError, match=re.escape(told)):
        build(*SEQUENCE, *times, *overrides)


def test_what_models_can_do_that_read_histories():
    assert build(*SEQUENCE, "source.columns.timestamp=t").training.reads_histories
    ordered = "source={kind: files, path: a.txt, format: {kind: adjacency, ordered: true}}"
    assert build(ordered, *SEQUENCE, "search={kind: autosample}").training.reads_histories
    assert not build().training.reads_histories


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("{kind: sasrec, dim: 6, num_heads: 4}", "num_heads: got 4, need a divisor of dim, 6"),
        (
            "{kind: blocks, dim: 6, blocks: [{layer: zero}, {layer: attention4}]}",
            "blocks: number 2 is 'attention4'",
        ),
        ("{kind: blocks, blocks: [{layer: conv9}]}", "training.model.blocks.0.layer: got 'conv9'"),
    ],
)
def test_sequence_models_that_cannot_be_built(model, told):
    with pytest.raises(InvalidInputError, match=re.escape(told)):
        build(*SEQUENCE, "source.columns.timestamp=t", f"training.model={model}")
