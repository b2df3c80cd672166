import json
import subprocess
import sys
import typing

import pandas as pd
import pytest

import components.registry.predict
import components.registry.recommend
from components import __version__
from components.catalog import STAGES
from components.cli.arguments import StageName
from components.core.errors import RecloopError
from components.core.recipe.schema import recipe_schema

LIGHT = """
import sys, time
sys.argv = ["recloop", *{arguments}]
from components.cli import main
try:
    main()
except SystemExit as end:
    assert end.code in (0, None), end.code
heavy = {{"torch", "pandas", "polars", "numpy", "pyarrow", "mlflow", "great_expectations"}} | {also}
assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
assert time.process_time() < {limit_s}, time.process_time()
"""


@pytest.mark.parametrize(
    ("arguments", "also", "limit_s"),
    [
        (["--help"], {"pydantic", "boto3", "yaml"}, 0.5),
        (["run", "--help"], {"boto3", "yaml"}, 0.5),
        (["--version"], {"pydantic", "boto3", "yaml", "rich"}, 0.5),
        (["schema"], {"boto3"}, 1.5),
        (["validate", "demo"], {"boto3"}, 1.5),
    ],
)
def test_it_starts_fast_and_loads_little(arguments, also, limit_s):
    code = LIGHT.format(arguments=arguments, also=also, limit_s=limit_s)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_teaches(recloop):
    bare = recloop()
    shown = recloop("--help")
    assert shown.exit_code == 0
    assert "recloop run demo" in shown.stdout
    assert "recloop run demo" in bare.output
    for kind in RecloopError.__subclasses__():
        assert f"\n {kind.exit_code}    " in shown.stdout
    for command in ("validate", "schema", "run", "runs", "report", "recommend", "predict"):
        page = recloop(command, "-h")
        assert page.exit_code == 0
        assert f"recloop {command}" in page.stdout.partition("Usage")[2].partition("\n")[2], "an example"


def test_version(recloop):
    assert recloop("--version").stdout == recloop("-V").stdout == f"recloop {__version__}\n"


def test_until_knows_the_stages():
    assert typing.get_args(StageName) == tuple(spec.name for spec in STAGES)


@pytest.mark.parametrize(
    "arguments", [["rnu"], ["run"], ["run", "toy", "--until", "x"], ["recommend", "m"], ["predict", "m"]]
)
def test_a_wrong_command_line(recloop, arguments):
    result = recloop(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage: recloop" in result.stderr


def test_schema_is_json_on_standard_output(recloop):
    result = recloop("schema")
    assert json.loads(result.stdout) == recipe_schema()
    assert result.stderr == ""


def test_validate_tells_of_every_recipe(recloop, home):
    bad = home / "bad.yaml"
    bad.write_text("name: bad\nsource: {kind: synthetic}\ntraining: {epocs: 3}\nprepare: {core: -1}\n")
    result = recloop("validate", "toy", str(bad), "dmo", "--set", "training.model.dim=8")
    assert result.exit_code == 2
    assert result.stdout.startswith("toy: valid (source synthetic, search none, model mf, workspace ")
    lines = result.stderr.splitlines()
    assert lines[0] == f"Error: recipe {bad}: 2 mistakes"
    assert lines[1].startswith("  prepare.core: got -1, need")
    assert lines[2].startswith("  training.epocs: unknown key; did you mean 'epochs'?")
    assert "recipe 'dmo': there is no such file" in lines[3]
    assert "did you mean 'demo'?" in lines[3]
    assert recloop("validate", "toy").exit_code == 0


def test_recipes_of_the_project_come_first_then_the_included(recloop, home):
    assert "source files" in recloop("validate", "gowalla").stdout
    (home / "pipelines" / "recipes" / "gowalla.yaml").write_text("name: mine\nsource: {kind: synthetic}\n")
    assert "source synthetic" in recloop("validate", "gowalla").stdout


def test_recommend_shows_a_table_or_json(recloop, home, monkeypatch):
    asked = []

    def answer(model, tracking_uri, user_ids, k):
        asked.append((model, tracking_uri, list(user_ids), k))
        rows = [(user, rank, f"film {rank}", 1.5 - rank) for user in user_ids for rank in range(1, k + 1)]
        return pd.DataFrame(rows, columns=["user_id", "rank", "item_id", "score"])

    monkeypatch.setattr(components.registry.recommend, "recommend", answer)
    result = recloop("recommend", "toy", "-u", "a b", "--user", "é", "-k", "2")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "user  rank  item      score",
        "a b      1  film 1   0.5000",
        "a b      2  film 2  -0.5000",
        "é        1  film 1   0.5000",
        "é        2  film 2  -0.5000",
    ]
    assert asked == [("toy", f"sqlite:///{home}/workspace/mlflow.db", ["a b", "é"], 2)]
    rows = json.loads(recloop("recommend", "toy", "-u", "é", "--tracking-uri", "http://m", "--json").stdout)
    assert len(rows) == 20
    assert rows[0] == {"user_id": "é", "rank": 1, "item_id": "film 1", "score": 0.5}
    assert asked[-1][1] == "http://m"
    assert recloop("recommend", "toy", "-u", "a", "-k", "0").exit_code == 2


def test_recommend_before_anything_was_registered(recloop):
    result = recloop("recommend", "toy", "--user", "1")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: sqlite:///")
    assert "run a recipe first" in result.stderr


def test_predict_shows_a_table_or_json(recloop, home, monkeypatch):
    asked = []

    def answer(model, tracking_uri, examples):
        asked.append((model, tracking_uri, list(examples)))
        shares = [0.75 / place for place in range(1, len(examples) + 1)]
        answers = {"class": "1", "probability_0": [1 - share for share in shares], "probability_1": shares}
        return pd.DataFrame(answers)

    monkeypatch.setattr(components.registry.predict, "predict", answer)
    file = home / "examples.jsonl"
    file.write_text('{"site": "a", "tags": ["x"]}\n\n{"site": null}\n')
    result = recloop("predict", "toy", "--input", str(file))
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "example  class  probability_0  probability_1",
        "      1  1             0.2500         0.7500",
        "      2  1             0.6250         0.3750",
    ]
    wanted = [{"site": "a", "tags": ["x"]}, {"site": None}]
    assert asked == [("toy", f"sqlite:///{home}/workspace/mlflow.db", wanted)]
    rows = json.loads(
        recloop("predict", "toy", "-i", str(file), "--tracking-uri", "http://m", "--json").stdout
    )
    assert rows[0] == {"class": "1", "probability_0": 0.25, "probability_1": 0.75}
    assert asked[-1][1] == "http://m"
