"""The training loop: early stopping, resume after a kill, sanity."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from components.core.checkpoint import Checkpoint
from components.core.errors import GateFailedError
from components.core.recipe.ranking import MatrixFactorization, Ngcf, RankingTraining
from components.core.recipe.search import AutoSample
from components.rec import saves
from components.rec.data import RankingData
from components.rec.learner import Learner
from components.rec.loop import Fit, Schedule, fit
from components.rec.objective import build_model
from components.rec.ranking_learner import RankingLearner
from components.rec.searchers.autosample import AutoSampleLearner


class KilledError(Exception):
    pass


def make_learner(kind: str, data: RankingData) -> Learner:
    model_config = Ngcf(dim=8, layer_dims=(8,)) if kind == "ngcf" else MatrixFactorization(dim=8)
    training = RankingTraining(model=model_config, learning_rate=0.01, num_negatives=2)
    model = build_model(training, data, seed=1)
    if kind == "autosample":
        return AutoSampleLearner(AutoSample(), training, data, model, seed=1)
    return RankingLearner(training, data, model, seed=1)


def run(learner: Learner, data: RankingData, place: Path, epochs: int = 8) -> Fit:
    schedule = Schedule(epochs=epochs, patience=50, validate_every=1, batch_size=32, metric="ndcg@5")
    place.mkdir(exist_ok=True)
    checkpoint = Checkpoint(str(place / "artifact"), place, "key")
    return fit(learner, data, schedule, seed=1, checkpoint=checkpoint, name="test")


@pytest.fixture
def always_save(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(saves, "_EVERY_S", 0.0)
    return iter(())


@pytest.mark.usefixtures("always_save")
@pytest.mark.parametrize("kind", ["mf", "ngcf", "autosample"])
def test_a_killed_run_ends_as_if_it_had_not_been(kind: str, clustered: RankingData, tmp_path: Path) -> None:
    whole = run(make_learner(kind, clustered), clustered, tmp_path / "whole")

    doomed = make_learner(kind, clustered)
    steps, step = [0], doomed.step

    def failing(batch: object) -> None:
        steps[0] += 1
        if steps[0] == 5 * clustered.num_batches(32) + 3:  # in the middle of the sixth epoch
            raise KilledError
        step(batch)

    doomed.step = failing
    with pytest.raises(KilledError):
        run(doomed, clustered, tmp_path / "killed")
    resumed = run(make_learner(kind, clustered), clustered, tmp_path / "killed")

    assert resumed.history == whole.history
    assert resumed.best_epoch == whole.best_epoch
    assert resumed.weights.keys() == whole.weights.keys()
    assert all(torch.equal(resumed.weights[name], whole.weights[name]) for name in whole.weights)


@pytest.mark.parametrize("kind", ["mf", "autosample"])
@pytest.mark.parametrize("where", [3, 0, -1], ids=["within an epoch", "at its end", "while validating"])
def test_a_run_that_is_told_to_stop_goes_on_where_it_was(
    kind: str, where: int, clustered: RankingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(make_learner(kind, clustered), clustered, tmp_path / "whole")

    validate = RankingData.validate
    stopped, steps = make_learner(kind, clustered), []
    step, when = stopped.step, 5 * clustered.num_batches(32)

    def counted(batch: object) -> None:
        step(batch)
        steps.append(1)
        if where >= 0 and len(steps) == when + where:
            signal.raise_signal(signal.SIGINT)

    def validated(*arguments: object) -> dict[str, float]:
        if where < 0 and len(steps) == when:
            signal.raise_signal(signal.SIGINT)
        return validate(*arguments)

    stopped.step = counted
    monkeypatch.setattr(RankingData, "validate", validated)
    with pytest.raises(KeyboardInterrupt):
        run(stopped, clustered, tmp_path / "stopped")
    monkeypatch.undo()
    assert len(steps) == when + max(where, 0)

    going_on, more = make_learner(kind, clustered), []
    step_on = going_on.step
    going_on.step = lambda batch: (more.append(1), step_on(batch))
    resumed = run(going_on, clustered, tmp_path / "stopped")
    assert len(steps) + len(more) == 8 * clustered.num_batches(32)  # no step twice
    assert resumed.history == whole.history
    assert all(torch.equal(resumed.weights[name], whole.weights[name]) for name in whole.weights)


def test_the_same_seed_gives_the_same_weights(clustered: RankingData, tmp_path: Path) -> None:
    first, second = (run(make_learner("mf", clustered), clustered, tmp_path / name) for name in "ab")
    assert all(torch.equal(first.weights[name], second.weights[name]) for name in first.weights)


def test_stops_after_patience_and_keeps_the_best(clustered: RankingData, tmp_path: Path) -> None:
    learner = make_learner("mf", clustered)
    schedule = Schedule(
        epochs=500, patience=3, validate_every=2, batch_size=64, metric="ndcg@5", from_start=True
    )
    result = fit(
        learner,
        clustered,
        schedule,
        seed=1,
        checkpoint=Checkpoint(str(tmp_path / "a"), tmp_path, "key"),
        name="t",
    )
    assert result.epochs == result.best_epoch + 3 * 2
    values = {record["epoch"]: record["ndcg@5"] for record in result.history if "ndcg@5" in record}
    assert 0 in values
    assert result.best_value == max(values.values()) == values[result.best_epoch]
    learner.model.load_state_dict(result.weights)
    assert clustered.validate(learner.model, "ndcg@5")["ndcg@5"] == pytest.approx(result.best_value)


def test_training_finds_the_clusters(clustered: RankingData, tmp_path: Path) -> None:
    result = run(make_learner("mf", clustered), clustered, tmp_path, epochs=60)
    # six unseen items of the own cluster, three of them in valid: choosing blindly gives recall@5 ≈ 0.83
    assert max(record["recall@5"] for record in result.history) > 0.7


def test_a_loss_that_explodes_stops_the_run(clustered: RankingData, tmp_path: Path) -> None:
    learner = make_learner("mf", clustered)
    with torch.no_grad():
        learner.model.users.fill_(float("nan"))
    with pytest.raises(GateFailedError, match="training loss of epoch 1 is nan"):
        run(learner, clustered, tmp_path)
