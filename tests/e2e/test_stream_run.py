"""A recipe that follows a stream, from raw data to a champion that the next delivery goes on from."""

import json
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from components.cli.app import app
from components.core.gates import gates_of
from components.core.manifest import Manifest, read_manifest
from components.core.policy import Policy
from components.data.parquet import read_table
from components.registry.connection import connect

RECIPE = """\
name: {name}
task: stream
parameters: {{file: {{default: first.csv}}}}
seed: 1
source:
  kind: files
  path: "${{file}}"
  label: {{column: liked}}
  fields: {{categorical: {{user: who, item: what}}}}
  timestamp: when
prepare: {{order: {order}, test_tail: 0.25}}
search: {search}
training: {{model: {{kind: mlp, hidden: {hidden}, init_std: 0.1}}, learning_rate: 0.01, batch_size: 50}}
promotion: {{margin: -1, limits: {{accuracy: {{min: 0.4}}}}, beat: []}}
"""
SIZES = "sizes: [2, 4, 8], history: 500"
SEARCHES = {
    "esapn": f"{{kind: esapn, {SIZES}, hidden: 8, frequency_dim: 4, num_frequencies: 50}}",
    "darts": f"{{kind: darts, {SIZES}}}",
    "autoemb": f"{{kind: autoemb, {SIZES}, hidden: 8, frequency_dim: 4, num_frequencies: 50}}",
}
SYNTHETIC = """\
name: made
task: stream
parameters: {{delivery: {{default: 1}}}}
seed: 3
source: {{kind: synthetic, num_interactions: 2000, num_users: 80, num_items: 40, num_classes: 3,
  delivery: "${{delivery}}"}}
search: {search}
training: {{model: {{kind: mlp, hidden: 16, init_std: 0.1}}, learning_rate: 0.01, batch_size: 50}}
promotion: {{margin: -1, beat: []}}
"""
HEADER = "liked,who,what,when"
DAY = 1_700_000_000
Run = Callable[..., Result]


def rows(first: int, count: int) -> list[str]:
    """So many of an endless stream, from a place on: one a minute, new users and items all the time."""
    found = []
    for place in range(first, first + count):
        rng = np.random.default_rng(place)
        user, item = (int(rng.random() ** 2 * (10 + place // 15)) for _ in range(2))
        liked = int(rng.random() < (0.9 if (user + item) % 2 else 0.1))
        found.append(f"{liked},u{user},i{item},{DAY + 60 * place}")
    return found


def write(name: str, lines: Sequence[str]) -> None:
    Path(name).write_text("\n".join([HEADER, *lines, ""]))


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables without rows: making them anew for every test would take most of the time."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    connect(f"sqlite:///{path}").search_registered_models()
    return path


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_database: Path) -> Iterator[Run]:
    """`recloop` in this process, with the real stages, in a directory of its own with two deliveries."""
    for name in ("RECLOOP_DEBUG", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RECLOOP_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.chdir(tmp_path)
    Path("workspace").mkdir()
    shutil.copy(empty_database, "workspace/mlflow.db")
    write("first.csv", rows(0, 600))
    write("second.csv", rows(400, 700))  # it begins with what is known already
    root = logging.getLogger()
    before = root.handlers[:], root.level

    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.output
        return result

    yield run
    root.handlers[:], level = before
    root.setLevel(level)


def write_recipe(name: str, search: str = "{kind: none}", *, order: str = "sort", hidden: int = 16) -> str:
    path = Path(f"{name}.yaml")
    path.write_text(RECIPE.format(name=name, search=search, order=order, hidden=hidden))
    return str(path)


class Made:
    """The artifacts that a run made anew."""

    def __init__(self, run: Run, recipe: str, *arguments: str) -> None:
        self._place = Path(f"workspace/{Path(recipe).stem}")
        before = set(self._finished())
        self.result = run("run", recipe, *arguments)
        assert self.result.exit_code == 0, self.result.output
        self._new = {place.parent.name: place for place in set(self._finished()) - before}
        assert len(self._new) == len(set(self._finished()) - before)

    def _finished(self) -> Iterator[Path]:
        return (manifest.parent for manifest in self._place.glob("*/*/_manifest.json"))

    def __getitem__(self, artifact: str) -> Path:
        return self._new[artifact]

    def document(self, artifact: str, name: str) -> Any:
        return json.loads((self[artifact] / name).read_text())

    def manifest(self, artifact: str) -> Manifest:
        return read_manifest(str(self[artifact]))


def ids(model: Path, side: str) -> list[str]:
    found: list[str] = read_table(model / f"{side}_embeddings.parquet")[f"{side}_id"].to_pylist()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["none", "esapn", "darts", "autoemb"])
def test_the_next_delivery_goes_on_from_the_champion(run: Run, kind: str) -> None:
    search = SEARCHES.get(kind, "{kind: none}")
    recipe = write_recipe("first", search)
    first = Made(run, recipe)
    assert "Version 1 of first was made champion" in first.result.output
    searched = kind != "none"
    begun = first.document("model", "training.json")
    assert begun["began"] == {"from": "search" if searched else "none", "champion_sha256": None}
    assert begun["interactions"] == (150 if searched else 600)
    assert begun["last_timestamp"] == DAY + 60 * 599
    again = run("run", recipe)
    assert again.exit_code == 0, again.output
    assert again.output.count("already done") == 6

    second = Made(run, recipe, "--set", "file=second.csv")
    assert "Version 2 of first was made champion" in second.result.output
    preparation = second.document("dataset", "preparation.json")
    assert preparation["left_out"] == 200  # not after the champion's last one
    assert preparation["learned_until"] == DAY + 60 * 599
    assert preparation["sizes"] == {"train": 375, "test": 125}
    went_on = second.document("model", "training.json")
    assert went_on["began"] == {
        "from": "search" if searched else "champion",
        "champion_sha256": first.manifest("model").sha256,
    }
    assert went_on["interactions"] == (125 if searched else 500)
    assert went_on["last_timestamp"] == DAY + 60 * 1099
    if searched:
        policy = Policy.read(second["policy"])
        assert policy.kind == kind
        assert policy.decision["interactions"] == 375
        assert policy.decision["began"]["from"] == "champion"
        assert went_on["training"]["embedding"]["kind"] == kind
    lines = [line.split(",") for line in rows(0, 1100)]
    for column, side in ((1, "user"), (2, "item")):
        before, after = ids(first["model"], side), ids(second["model"], side)
        assert before == list(dict.fromkeys(line[column] for line in lines[:600]))
        assert after == list(dict.fromkeys(line[column] for line in lines))
        table = read_table(second["model"] / f"{side}_embeddings.parquet")
        counts = [sum(line[column] == one for line in lines) for one in after]
        assert table["seen"].to_pylist() == counts  # each interaction once, over both runs
        told = went_on["sides"][side]
        assert told["ids"] == len(after)
        assert sum(told["bytes"].values()) >= 4 * sum(int(s) * n for s, n in told["counts"].items())
    gates = {gate.name: gate for gate in gates_of(second.manifest("evaluation").validation)}
    assert gates["goes on"].told == "the model goes on from the champion"
    said = read_table(second["model"] / "predictions.parquet")
    assert said["row"].to_pylist() == list(range(575, 700))  # of the delivery


@pytest.mark.slow
def test_a_champion_answers_and_tells_of_its_sizes(run: Run) -> None:
    recipe = write_recipe("first", SEARCHES["esapn"])
    made = Made(run, recipe)
    asked_about = [("u0", "i0"), ("u0", "i1"), ("nobody", "i0"), ("nobody", "nothing"), (None, "i0")]
    Path("new.jsonl").write_text(
        "\n".join(json.dumps({"user": user, "item": item}) for user, item in asked_about)
    )
    asked = run("predict", "first", "--input", "new.jsonl", "--json")
    assert asked.exit_code == 0, asked.output
    answer = json.loads(asked.output)
    assert len(answer) == 5
    for one in answer:
        assert one["probability_0"] + one["probability_1"] == pytest.approx(1)
    assert answer[0]["probability_1"] != pytest.approx(answer[1]["probability_1"], abs=1e-4)
    assert answer[2]["probability_1"] == pytest.approx(answer[4]["probability_1"])
    refused = run("recommend", "first", "--user", "u1")
    assert refused.exit_code == 2
    assert "recloop predict" in refused.output

    sides = made.document("model", "training.json")["sides"]
    assert list(sides["user"]["counts"]) == ["2", "4", "8"]
    report = (made["evaluation"] / "report.html").read_text()
    card = (made["registration"] / "model_card.md").read_text()
    assert "Embeddings by size" in report
    for plural, side in (("users", sides["user"]), ("items", sides["item"])):
        counts = [f"{count:,}" for count in side["counts"].values()]
        taken = f"{sum(side['bytes'].values()):,}"
        assert f"| {plural} | {' | '.join(counts)} | {taken} |" in card
        place = report.index(plural, report.index("Embeddings by size"))
        for count in counts:
            assert count in report[place : place + 400]
    assert "stream: raw ids of a user and an item in" in card
    assert "the state that the search left" in card
    assert "450 interactions, and 150 in the tail that tests" in card


@pytest.mark.slow
@pytest.mark.parametrize(("search", "stage"), [("{kind: none}", "model"), (SEARCHES["esapn"], "policy")])
def test_a_model_of_another_make_cannot_go_on(run: Run, search: str, stage: str) -> None:
    """It is refused before anything is learned, rather than made of what is new alone."""
    Made(run, write_recipe("first", search))
    recipe = Path(write_recipe("first", search, hidden=24))
    second = ("--set", "file=second.csv")
    refused = run("run", str(recipe), *second)
    assert refused.exit_code == 2, refused.output
    assert "its model.hidden is 16, the recipe's 24" in refused.output
    assert "training.warm_start: none" in refused.output
    assert len(list(Path("workspace/first").glob(f"{stage}/*/_manifest.json"))) == 1
    recipe.write_text(recipe.read_text().replace("batch_size: 50", "batch_size: 50, warm_start: none"))
    anew = Made(run, str(recipe), *second)
    training = anew.document("model", "training.json")
    assert training["began"] == {"from": "none" if stage == "model" else "search", "champion_sha256": None}
    lines = [line.split(",") for line in rows(400, 700)]
    assert ids(anew["model"], "user") == list(dict.fromkeys(line[1] for line in lines))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["esapn", "darts"])
def test_a_policy_of_another_run_is_taken(run: Run, kind: str) -> None:
    """The whole stream is followed with it from the start; the next delivery goes on from the champion."""
    policy = Made(run, write_recipe("first", SEARCHES[kind]))["policy"]
    recipe = write_recipe("second", f"{{kind: policy, uri: {policy.absolute()}}}", hidden=8)
    second = Made(run, recipe)
    taken, theirs = Policy.read(second["policy"]), Policy.read(policy)
    assert taken.kind == "policy"
    assert taken.patch == theirs.patch
    assert taken.decision["taken_from"] == kind
    training = second.document("model", "training.json")
    source = "none" if kind == "darts" else "policy"
    assert training["began"] == {"from": source, "champion_sha256": None}
    assert training["interactions"] == 600
    assert training["training"]["embedding"]["kind"] == kind
    assert training["training"]["model"]["hidden"] == 8
    assert (second["policy"] / "controller.safetensors").exists() == (kind != "darts")
    for name in ("users.parquet", "items.parquet"):
        assert (second["policy"] / name).read_bytes() == (policy / name).read_bytes()
    third = Made(run, recipe, "--set", "file=second.csv").document("model", "training.json")
    expected = {"from": "champion", "champion_sha256": second.manifest("model").sha256}
    assert third["began"] == expected
    assert third["interactions"] == 500


@pytest.mark.slow
def test_after_a_rollback_nothing_goes_on_from_the_version_before(run: Run) -> None:
    """What was made for the version before is found done, and held back; another attempt is for today's."""
    recipe = write_recipe("first", SEARCHES["esapn"])
    Made(run, recipe)
    second = Made(run, recipe, "--set", "file=second.csv")
    write("third.csv", rows(1100, 300))
    third = ("--set", "file=third.csv")
    waiting = Made(run, recipe, *third, "--set", "promotion.policy=never")
    began = waiting.document("model", "training.json")["began"]
    assert began["champion_sha256"] == second.manifest("model").sha256
    assert run("rollback", "first", "--why", "a try").exit_code == 0
    held = Made(run, recipe, *third, "--set", "evaluation.attempt=2")
    verdict = held.document("evaluation", "verdict.json")
    assert not verdict["promote"]
    assert "goes on from a version that is champion no more" in verdict["reason"]
    anew = Made(run, recipe, *third, "--set", "prepare.attempt=2")
    (gate,) = [g for g in anew.document("evaluation", "verdict.json")["gates"] if g["name"] == "goes on"]
    assert (gate["outcome"], gate["told"]) == ("passed", "the model goes on from the champion")


@pytest.mark.slow
def test_synthetic_deliveries_follow_one_another(run: Run) -> None:
    Path("made.yaml").write_text(SYNTHETIC.format(search=SEARCHES["esapn"]))
    first = Made(run, "made.yaml")
    second = Made(run, "made.yaml", "--set", "delivery=2")
    preparation = second.document("dataset", "preparation.json")
    assert preparation["left_out"] == 0
    assert preparation["sizes"] == {"train": 1600, "test": 400}
    training = second.document("model", "training.json")
    assert training["began"]["champion_sha256"] == first.manifest("model").sha256
    assert training["classes"] == ["0", "1", "2"]
    for side in ("user", "item"):
        before, after = ids(first["model"], side), ids(second["model"], side)
        assert after[: len(before)] == before
        seen = read_table(second["model"] / f"{side}_embeddings.parquet")["seen"].to_pylist()
        assert sum(seen) == 4000
    again = run("run", "made.yaml", "--set", "delivery=2")
    assert again.output.count("already done") == 6


@pytest.mark.slow
def test_where_nothing_is_new_a_stream_can_only_begin_anew(run: Run) -> None:
    recipe = Path(write_recipe("first"))
    Made(run, str(recipe))
    write("old.csv", rows(100, 300))
    refused = run("run", str(recipe), "--set", "file=old.csv")
    assert refused.exit_code == 2, refused.output
    assert "there is nothing new" in refused.output
    assert len(list(Path("workspace/first").glob("model/*/_manifest.json"))) == 1
    recipe.write_text(recipe.read_text().replace("batch_size: 50", "batch_size: 50, warm_start: none"))
    anew = Made(run, str(recipe), "--set", "file=old.csv")
    assert anew.document("dataset", "preparation.json")["left_out"] == 0
    training = anew.document("model", "training.json")
    assert training["began"] == {"from": "none", "champion_sha256": None}
    assert training["interactions"] == 300


def test_what_is_out_of_order_is_refused_where_order_is_required(run: Run) -> None:
    lines = rows(0, 600)
    write("first.csv", [*lines[300:], *lines[:300]])
    refused = run("run", write_recipe("strict", order="require"))
    assert refused.exit_code == 2, refused.output
    assert "prepare.order" in refused.output
    assert "put the source in order" in refused.output
    assert not list(Path("workspace").rglob("strict/dataset/*/_manifest.json"))


@pytest.mark.slow
def test_what_is_in_order_is_the_same_stream_however_it_was_delivered(run: Run) -> None:
    lines = rows(0, 600)
    sorted_, shuffled = write_recipe("one", order="require"), write_recipe("two")
    write("mixed.csv", [lines[place] for place in np.random.default_rng(1).permutation(600)])
    one, two = Made(run, sorted_), Made(run, shuffled, "--set", "file=mixed.csv")
    for name in ("user_embeddings.parquet", "network.parquet", "weights.safetensors"):
        assert (one["model"] / name).read_bytes() == (two["model"] / name).read_bytes()


@pytest.mark.parametrize(
    ("lines", "code", "told"),
    [
        (["0,u1,i1,5"] * 40, 2, ["at least two"]),
        ([f"{n % 2},u{n},i{n},soon" for n in range(40)], 3, ["timestamp"]),
        ([f"{n % 2},,i{n},{n}" for n in range(40)], 3, ["user"]),
        ([f"{int(n < 5)},u{n},i{n},{n}" for n in range(40)], 2, ["no interaction of class '1'"]),
        (["1,u1,i1,5", "0,u1,i1,6"], 2, ["prepare.test_tail"]),
    ],
    ids=["a constant label", "no time", "no user", "a class that the tail lacks", "too few"],
)
def test_interactions_that_cannot_be_followed_are_refused(
    run: Run, lines: list[str], code: int, told: list[str]
) -> None:
    write("first.csv", lines)
    refused = run("run", write_recipe("bad"))
    assert refused.exit_code == code, refused.output
    for part in told:
        assert part in refused.output
    assert not list(Path("workspace").rglob("bad/model/*/_manifest.json"))
