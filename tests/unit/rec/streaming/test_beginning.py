"""Where a stream goes on: with the champion's state, with a search's, or with nothing."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from components.catalog import RETRAIN
from components.core.checkpoint import Checkpoint
from components.core.errors import InvalidInputError
from components.core.policy import CONTROLLER_FILE, WEIGHTS_FILE, Policy
from components.core.recipe import RetrainStreamParams, StreamTraining
from components.core.recipe.stream import StreamMlp
from components.core.stage import Context
from components.data.parquet import read_table, write_table
from components.rec.loop import Fit
from components.rec.streaming.beginning import (
    Beginning,
    begin_with_champion,
    begin_with_policy,
    begin_with_search,
)
from components.rec.streaming.data import StreamData
from components.rec.streaming.model import SIDES
from components.rec.streaming.sizes import size_tables
from components.rec.weights import load_tensors, save_tensors
from components.retrain.run import run
from tests.unit.conftest import Loop

from .streams import by_appearance, differences, follow_in, learner_of, small, training, write_dataset

NUM = 120


def rows(first: int, count: int = NUM) -> list[tuple[str, str, int, int]]:
    """User, item, label and time of a stream, from a place in it on."""
    return [
        (f"u{n**2 % (7 + n // 9)}", f"i{n * 5 % 11}", n % 3 % 2, 1000 + n)
        for n in range(first, first + count)
    ]


def make_model(root: Path, kind: str) -> Path:
    """The artifact of a model that followed the first `NUM` interactions."""
    loop = Loop(root / f"champion-{kind}")
    dataset = write_dataset(loop.root / "dataset", rows(0), 40)
    policy = loop.folder("policy")
    Policy(kind="none", patch={}, decision={}, best_epoch=0, epochs=0).write(policy)
    write_table(Fit().table(), policy / "trajectory.parquet")
    params = RetrainStreamParams(training=training(kind), seed=1, model="", tracking_uri="")
    inputs, output = {"dataset": dataset, "policy": policy}, loop.folder("model")
    scratch = loop.folder("scratch")
    run(params, inputs, output, Context(Checkpoint(str(loop.root / "artifact"), scratch, "key")))
    RETRAIN.load_contract(params)(output, params, inputs, loop.root / "docs")
    loop.publish("model", "retrain")
    return output


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {kind: make_model(root, kind) for kind in ("fixed", "esapn")}


@pytest.fixture
def following(tmp_path: Path) -> Path:
    """The dataset of what came next."""
    return write_dataset(tmp_path / "dataset", rows(NUM), 40, learned_until=1000 + NUM - 1)


def load(dataset: Path, beginning: Beginning) -> StreamData:
    return StreamData.load(dataset, ["train", "test"], beginning.ids)


def test_without_a_champion_a_stream_begins_with_nothing(following: Path) -> None:
    section = training()
    beginning = begin_with_champion(section, None, following)
    assert beginning.document() == {"from": "none", "champion_sha256": None}
    learner = beginning.learner(section, load(following, beginning), seed=1)
    assert not differences(learner.state(), learner_of(seed=1).state())
    assert len(learner.model.side("user")) == 0


@pytest.mark.parametrize("kind", ["fixed", "esapn"])
def test_the_champions_state_is_gone_on_from(kind: str, models: dict[str, Path], following: Path) -> None:
    section, champion = training(kind), models[kind]
    beginning = begin_with_champion(section, champion, following)
    assert beginning.source == "champion"
    assert beginning.champion_sha256 is not None
    before = [row[:2] for row in rows(0)]
    for place, side in enumerate(SIDES):
        assert beginning.ids[side].to_pylist() == list(dict.fromkeys(row[place] for row in before))
    stream = load(following, beginning)
    learner = beginning.learner(section, stream, seed=9)
    state = load_tensors(champion / WEIGHTS_FILE, torch.device("cpu"))
    assert not differences(learner.state(), state)
    both = [*before, *(row[:2] for row in rows(NUM))]
    for place, side in enumerate(SIDES):
        expected = by_appearance([row[place] for row in both])
        assert stream.batch.ids(side).tolist() == expected[NUM:]


def test_two_deliveries_one_after_the_other_are_the_stream_at_once(
    models: dict[str, Path], following: Path, tmp_path: Path
) -> None:
    section = training("esapn")
    beginning = begin_with_champion(section, models["esapn"], following)
    stream = load(following, beginning)
    learner = beginning.learner(section, stream, seed=9)
    found = follow_in(tmp_path / "second", learner, stream.batch)

    whole = write_dataset(tmp_path / "whole", rows(0, 2 * NUM), 40)
    nothing = begin_with_champion(section, None, whole)
    at_once = nothing.learner(section, load(whole, nothing), seed=1)
    expected = follow_in(tmp_path / "once", at_once, load(whole, nothing).batch)
    assert torch.equal(found.said["probability"], expected.said["probability"][NUM:])
    assert not differences(learner.state(), at_once.state())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": StreamMlp(hidden=17, init_std=0.1)}, "its model.hidden is 16, the recipe's 17"),
        ({"model": StreamMlp(hidden=16, init_std=0.2)}, "its model.init_std is 0.1, the recipe's 0.2"),
        ({"embedding": small("fixed")}, "its embedding.kind is 'esapn', the recipe's 'fixed'"),
        (
            {"embedding": small("esapn", sizes=(2, 3))},
            "its embedding.sizes is [2, 3, 5], the recipe's [2, 3]",
        ),
        ({"embedding": small("esapn", hidden=9)}, "its embedding.hidden is 8, the recipe's 9"),
        ({"embedding": small("esapn", history=10)}, "its embedding.history is 150, the recipe's 10"),
    ],
    ids=["width", "spread", "kind", "sizes", "a policy's width", "history"],
)
def test_a_champion_of_another_make_is_refused(
    changes: dict[str, Any], reason: str, models: dict[str, Path], following: Path
) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(f"cannot be gone on from: {reason}. Begin anew")):
        begin_with_champion(training("esapn", **changes), models["esapn"], following)


@pytest.mark.parametrize("classes", [["0", "1", "2"], ["1", "0"], ["no", "yes"]])
def test_a_champion_of_other_classes_is_refused(
    classes: list[str], models: dict[str, Path], tmp_path: Path
) -> None:
    dataset = write_dataset(tmp_path / "dataset", rows(NUM), 30, classes)
    told = re.escape(f"its classes are ['0', '1'], the recipe's {classes}")
    with pytest.raises(InvalidInputError, match=told):
        begin_with_champion(training("esapn"), models["esapn"], dataset)


def test_rates_and_batches_may_change_while_a_stream_goes_on(
    models: dict[str, Path], following: Path, tmp_path: Path
) -> None:
    section = training(
        "esapn", embedding=small("esapn", policy_learning_rate=0.5), learning_rate=0.1, batch_size=7
    )
    beginning = begin_with_champion(section, models["esapn"], following)
    assert beginning.source == "champion"
    stream = load(following, beginning)
    faster, before = (
        begin_with_champion(one, models["esapn"], following).learner(one, stream, seed=1)
        for one in (section, training("esapn"))
    )
    assert not differences(faster.state(), before.state())
    for one in (faster, before):
        one.learn(stream.batch.part(0, 20))
    assert "model.network.hidden.weight" in differences(faster.state(), before.state())


@pytest.mark.parametrize(
    ("until", "told"),
    [
        (None, "holds everything that was delivered"),
        (1000, "begins after what another champion had learned, up to 1000"),
    ],
)
def test_a_dataset_that_was_prepared_for_another_champion_is_refused(
    until: int | None, told: str, models: dict[str, Path], tmp_path: Path
) -> None:
    dataset = write_dataset(tmp_path / "dataset", rows(NUM), 40, learned_until=until)
    with pytest.raises(InvalidInputError) as refused:
        begin_with_champion(training("esapn"), models["esapn"], dataset)
    assert told in str(refused.value)
    assert f"learned from everything up to {1000 + NUM - 1}: prepare it again" in str(refused.value)
    assert "prepare.attempt=2" in str(refused.value)


def test_other_thresholds_and_an_older_state_are_refused(
    models: dict[str, Path], following: Path, tmp_path: Path
) -> None:
    dataset = write_dataset(tmp_path / "dataset", rows(NUM), 40, thresholds=[4.0])
    with pytest.raises(InvalidInputError, match=r"its thresholds are None, the recipe's \[4.0\]"):
        begin_with_champion(training("esapn"), models["esapn"], dataset)
    old = tmp_path / "old"
    shutil.copytree(models["esapn"], old)
    document = json.loads((old / "training.json").read_text())
    (old / "training.json").write_text(json.dumps({**document, "state_version": 0}))
    with pytest.raises(InvalidInputError, match="its state is of version 0, not 2"):
        begin_with_champion(training("esapn"), old, following)


def make_policy(place: Path, kind: str) -> tuple[Path, Any]:
    """What a search over train leaves of its learner, and the learner."""
    place.mkdir()
    dataset = write_dataset(place / "dataset", rows(0), 30)
    stream = StreamData.load(dataset, ["train"], Beginning(source="none").ids)
    learner = learner_of(kind)
    follow_in(place / "run", learner, stream.batch)
    for side, table in size_tables(learner.model, stream.ids).items():
        write_table(table, place / f"{side}s.parquet")
    save_tensors(learner.state(), place / WEIGHTS_FILE)
    if learner.policies():
        save_tensors(learner.policies(), place / CONTROLLER_FILE)
    return place, learner


@pytest.mark.parametrize("kind", ["esapn", "darts", "autoemb"])
def test_the_tail_goes_on_where_the_search_was(kind: str, tmp_path: Path) -> None:
    place, searched = make_policy(tmp_path / "policy", kind)
    dataset, section = place / "dataset", training(kind)
    began = {"from": "champion", "champion_sha256": "f" * 64}
    beginning = begin_with_search(place, began)
    assert beginning.document() == {**began, "from": "search"}
    stream = StreamData.load(dataset, ["test"], beginning.ids)
    learner = beginning.learner(section, stream, seed=5)
    assert not differences(learner.state(), searched.state())
    found = follow_in(tmp_path / "tail", learner, stream.batch)

    at_once = learner_of(kind)
    whole = StreamData.load(dataset, ["train", "test"], Beginning(source="none").ids)
    train = len(whole) - len(stream)
    expected = [
        at_once.learn(whole.batch.part(start, min(start + 20, train))) for start in range(0, train, 20)
    ]
    assert len(expected) == 5
    after = [at_once.learn(whole.batch.part(start, start + 20)).probability_BC for start in (90, 110)]
    assert torch.equal(found.said["probability"], torch.cat(after))


@pytest.mark.parametrize("kind", ["esapn", "darts", "autoemb"])
def test_a_policy_that_was_taken_decides_from_the_start(kind: str, tmp_path: Path) -> None:
    """Its networks are another learner's, and so are, of ESAPN, the sizes; values are nobody's."""
    place, searched = make_policy(tmp_path / "policy", kind)
    beginning = begin_with_policy(training(kind), place, place / "dataset")
    assert beginning.source == ("none" if kind == "darts" else "policy")
    stream = StreamData.load(place / "dataset", ["train", "test"], beginning.ids)
    learner = beginning.learner(training(kind), stream, seed=7)
    fresh = Beginning(source="none").learner(training(kind), stream, seed=7)
    assert not differences(learner.policies(), searched.policies())
    assert (kind == "darts") == (not differences(learner.state(), fresh.state()))
    for side in SIDES:
        ours, theirs = learner.model.side(side), searched.model.side(side)
        assert len(ours) == (len(theirs) if kind == "esapn" else 0)
        known = torch.arange(len(ours))
        assert torch.equal(ours.size_of(known), theirs.size_of(known))
        assert not ours.seen.frequency(known).any()
        assert beginning.ids[side].to_pylist() == stream.ids[side].slice(0, len(ours)).to_pylist()


def test_sizes_of_strangers_are_not_taken(tmp_path: Path) -> None:
    place, searched = make_policy(tmp_path / "policy", "esapn")
    ids = read_table(place / "dataset" / "users.parquet")
    write_table(ids.slice(0, 2), place / "dataset" / "users.parquet")
    beginning = begin_with_policy(training("esapn"), place, place / "dataset")
    assert beginning.document() == {"from": "policy", "champion_sha256": None}
    assert len(beginning.ids["user"]) == len(beginning.sizes["user"]) == 2
    assert len(beginning.ids["item"]) == len(searched.model.side("item"))


def test_what_the_champion_is_told_of_is_what_the_model_tells(models: dict[str, Path]) -> None:
    document = json.loads((models["esapn"] / "training.json").read_text())
    assert StreamTraining.model_validate(document["training"]) == training("esapn")
    assert document["last_timestamp"] == 1000 + NUM - 1
    assert document["interactions"] == NUM
    assert document["began"] == {"from": "none", "champion_sha256": None}
