"""BOHB over shared loss weights."""

import json
import math
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import torch

from components.core.checkpoint import Checkpoint
from components.core.recipe.classification import (
    ClassificationTraining,
    CrossEntropy,
    DeepFm,
    Focal,
    Hinge,
    Mlp,
)
from components.core.recipe.search import Bohb
from components.rec import saves
from components.rec.classification import ClassificationLearner, build_classifier, build_loss
from components.rec.fields import ExampleBatch, FieldData
from components.rec.loop import Fit, Schedule, fit
from components.rec.searchers import bohb
from components.rec.searchers.base import SearchResult
from components.rec.searchers.bohb import search
from tests.unit.rec.examples import make_field_data

LOSSES = (Focal(), Hinge(), CrossEntropy())
CONFIG = Bohb(losses=LOSSES, trials=7, min_epochs=1, epochs=4, reduction_factor=2)
TRAINING = ClassificationTraining(
    model=DeepFm(dim=4, init_std=0.1, mlp=Mlp(hidden=(4,))), batch_size=80, learning_rate=0.02
)
WEIGHTS = [f"weight_{loss.kind}" for loss in LOSSES]


class KilledError(Exception):
    pass


def searched(data: FieldData, place: Path, config: Bohb = CONFIG, metric: str = "auc") -> SearchResult:
    place.mkdir(exist_ok=True)
    training = TRAINING.model_copy(update={"metric": metric})
    return search(config, training, data, seed=3, checkpoint=Checkpoint(str(place / "p"), place, "key"))


def by_trial(trajectory: Fit) -> list[list[dict[str, float]]]:
    return [list(records) for _, records in groupby(trajectory.history, key=lambda r: r["trial"])]


@pytest.mark.parametrize("metric", ["auc", "logloss"])
def test_the_policy_is_the_best_epoch_of_all_trials(metric: str, tmp_path: Path) -> None:
    result = searched(make_field_data(), tmp_path, metric=metric)
    history = result.trajectory.history
    values = [record[metric] for record in history]
    best = history[result.policy.best_epoch - 1]
    assert best[metric] == (max(values) if metric == "auc" else min(values)) == result.trajectory.best_value
    assert [record["epoch"] for record in history] == list(range(1, len(history) + 1))
    assert result.policy.epochs == len(history) == result.trajectory.table().num_rows
    patched = result.policy.apply(TRAINING)
    assert patched.loss.kind == "weighted"
    assert list(patched.loss.weights) == [best[name] for name in WEIGHTS]
    assert result.policy.decision["trial"] == best["trial"]


def test_the_best_trials_weights_are_what_training_with_them_gives(tmp_path: Path) -> None:
    data = make_field_data()
    result = searched(data, tmp_path)
    trial = by_trial(result.trajectory)[result.policy.decision["trial"] - 1]
    patched = result.policy.apply(TRAINING)
    loss = build_loss(patched.loss, data, None, seed=3)
    learner = ClassificationLearner(patched, data, build_classifier(patched, data, seed=3), loss, seed=3)
    schedule = Schedule.of(patched, epochs=len(trial), patience=9)
    checkpoint = Checkpoint(str(tmp_path / "again"), tmp_path, "key")
    again = fit(learner, data, schedule, seed=3, checkpoint=checkpoint, name="t")
    assert [record["auc"] for record in again.history] == [record["auc"] for record in trial]
    assert result.weights is not None
    assert all(torch.equal(again.weights[name], tensor) for name, tensor in result.weights.items())


def test_hyperband_ends_the_worse_trials_at_its_rungs(tmp_path: Path) -> None:
    trials = by_trial(
        searched(make_field_data(), tmp_path, CONFIG.model_copy(update={"trials": 12})).trajectory
    )
    lengths = [len(trial) for trial in trials]
    assert len(trials) == 12
    assert set(lengths) <= {1, 2, 4}  # min_epochs · reduction_factorⁿ
    assert lengths[0] == 4  # nobody to lose against
    assert min(lengths) < 4


def test_weights_are_uniform_on_the_simplex_at_first() -> None:
    """Dirichlet(1, 1, 1): every weight has the mean 1/3, and is above ½ in a quarter of all trials."""
    config, found = CONFIG.model_copy(update={"trials": 1}), []
    for seed in range(400):
        trials = bohb._Trials(config, "auc", seed, Fit())
        found.append(trials.propose().loss.weights)
    weights = np.array(found)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(weights.mean(axis=0), 1 / 3, atol=4 * np.sqrt(1 / 18 / 400))
    np.testing.assert_allclose((weights > 0.5).mean(axis=0), 1 / 4, atol=4 * np.sqrt(3 / 16 / 400))


@pytest.mark.parametrize("killed_at", [5, 17], ids=["in the first trial", "in a later one"])
def test_a_killed_search_ends_as_if_it_had_not_been(
    killed_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saves, "_EVERY_S", 0.0)
    monkeypatch.setattr(saves, "_SHARE", math.inf)  # after every step
    data = make_field_data()
    whole = searched(data, tmp_path / "whole")

    steps, step = [0], ClassificationLearner.step

    def failing(self: ClassificationLearner, batch: ExampleBatch) -> None:
        steps[0] += 1
        if steps[0] == killed_at:
            raise KilledError
        step(self, batch)

    with monkeypatch.context() as patched:
        patched.setattr(ClassificationLearner, "step", failing)
        with pytest.raises(KilledError):
            searched(data, tmp_path / "killed")
    before = steps[0] - 1
    with monkeypatch.context() as patched:
        patched.setattr(
            ClassificationLearner, "step", lambda self, batch: (steps.append(1), step(self, batch))
        )
        resumed = searched(data, tmp_path / "killed")

    assert before + len(steps) - 1 == 2 * whole.policy.epochs  # two steps an epoch, and none twice
    assert resumed.policy == whole.policy
    assert json.dumps(resumed.trajectory.history) == json.dumps(whole.trajectory.history)
    assert whole.weights is not None
    assert resumed.weights is not None
    assert all(torch.equal(resumed.weights[name], tensor) for name, tensor in whole.weights.items())
