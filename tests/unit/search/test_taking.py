"""A policy of another search instead of a search of one's own."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from components.catalog import SEARCH
from components.core.checkpoint import Checkpoint
from components.core.errors import GateFailedError, InvalidInputError
from components.core.policy import CONTROLLER_FILE, TRAJECTORY_FILE, WEIGHTS_FILE, Policy
from components.core.recipe import (
    ClassificationTraining,
    RankingTraining,
    SearchForClassifierParams,
    SearchParams,
)
from components.core.recipe.classification import Controlled
from components.core.recipe.ranking import DnsSampler
from components.core.recipe.search import FromPolicy
from components.core.stage import Context, Validation
from components.data.parquet import write_table
from components.rec.loop import Fit
from components.search.run import run

TAKEN = FromPolicy(uri="anywhere")
RANKING = SearchParams(search=TAKEN, training=RankingTraining(), seed=1)
CLASSIFICATION = SearchForClassifierParams(search=TAKEN, training=ClassificationTraining(), seed=1)


def take(params: SearchParams | SearchForClassifierParams, theirs: Path, place: Path) -> Validation:
    output = place / "output"
    output.mkdir()
    inputs = {"dataset": place, "policy": theirs}
    run(params, inputs, output, Context(Checkpoint(str(place / "a"), place, "key")))
    return SEARCH.load_contract(params)(output, params, inputs, place / "docs")


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A policy artifact that decided for DNS, with weights."""
    place = tmp_path / "theirs"
    place.mkdir()
    patch = {"sampler": DnsSampler(pool_size=7).model_dump(mode="json")}
    Policy(kind="autosample", patch=patch, decision={"sampler": "dns"}, best_epoch=3, epochs=5).write(place)
    write_table(Fit().table(), place / TRAJECTORY_FILE)
    (place / WEIGHTS_FILE).write_bytes(b"of another model")
    return place


def test_what_was_decided_is_taken_without_the_weights(theirs: Path, tmp_path: Path) -> None:
    take(RANKING, theirs, tmp_path)
    policy = Policy.read(tmp_path / "output")
    assert policy.apply(RankingTraining()).sampler == DnsSampler(pool_size=7)
    assert policy.decision == {"taken_from": "autosample", "sampler": "dns"}
    assert not (tmp_path / "output" / WEIGHTS_FILE).exists()


def test_a_policy_that_was_taken_can_be_taken_again(theirs: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    take(RANKING, theirs, first)
    take(RANKING, first / "output", second)
    assert Policy.read(second / "output") == Policy.read(first / "output")


def test_a_frozen_controller_comes_along(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    patch = {"loss": Controlled(temperature=0.5).model_dump(mode="json")}
    Policy(kind="autoloss", patch=patch, decision={}, best_epoch=1, epochs=1).write(theirs)
    with pytest.raises(GateFailedError, match=r"controller\.safetensors facts: is there"):
        take(CLASSIFICATION, theirs, tmp_path)
    save_file({"weight": np.ones(3, np.float32)}, theirs / CONTROLLER_FILE)
    (tmp_path / "again").mkdir()
    take(CLASSIFICATION, theirs, tmp_path / "again")
    ours = tmp_path / "again" / "output" / CONTROLLER_FILE
    assert ours.read_bytes() == (theirs / CONTROLLER_FILE).read_bytes()


def test_a_policy_of_another_task_is_refused(theirs: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"policy.patch: got 'sampler'"):
        take(CLASSIFICATION, theirs, tmp_path)


def test_a_policy_that_decided_nothing_is_refused(theirs: Path, tmp_path: Path) -> None:
    Policy(kind="none", patch={}, decision={}, best_epoch=0, epochs=0).write(theirs)
    with pytest.raises(InvalidInputError, match="of kind 'none', has decided nothing"):
        take(RANKING, theirs, tmp_path)
