"""The learner that retrains a classifier."""

from pathlib import Path

import pytest
import torch

from components.core.checkpoint import Checkpoint
from components.core.errors import InvalidInputError
from components.core.recipe.classification import (
    ClassificationTraining,
    Controlled,
    Controller,
    CrossEntropy,
    DeepFm,
    Mlp,
)
from components.core.strategy import Strategy
from components.rec import saves
from components.rec.classification import ClassificationLearner, build_classifier, build_loss
from components.rec.controller import ControllerNetwork
from components.rec.fields import FieldData
from components.rec.loop import Fit, Schedule, fit
from components.rec.weights import save_tensors
from tests.unit.rec.examples import make_field_data

MODEL = DeepFm(dim=4, init_std=0.1, mlp=Mlp(hidden=(8,)))
TRAINING = ClassificationTraining(model=MODEL, learning_rate=0.01, l2=0.1)
CONTROLLED = Controlled(controller=Controller(hidden=(4,)), temperature=0.3)


class KilledError(Exception):
    pass


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """Of a controller that a search left."""
    place = tmp_path / "policy"
    place.mkdir()
    controller = ControllerNetwork(CONTROLLED.controller, 2, 4, generator=torch.Generator().manual_seed(1))
    save_tensors(controller.state_dict(), place / "controller.safetensors")
    return place


def make_learner(data: FieldData, loss: Strategy, policy: Path) -> ClassificationLearner:
    built = build_loss(loss, data, policy, seed=1)
    return ClassificationLearner(TRAINING, data, build_classifier(TRAINING, data, seed=1), built, seed=1)


def run(learner: ClassificationLearner, data: FieldData, place: Path) -> Fit:
    place.mkdir(exist_ok=True)
    schedule = Schedule(epochs=5, patience=5, validate_every=1, batch_size=32, metric="auc")
    checkpoint = Checkpoint(str(place / "artifact"), place, "key")
    return fit(learner, data, schedule, seed=1, checkpoint=checkpoint, name="test")


@pytest.mark.parametrize("loss", [CrossEntropy(), CONTROLLED], ids=["cross_entropy", "controlled"])
def test_a_killed_run_ends_as_if_it_had_not_been(
    loss: Strategy, policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saves, "_EVERY_S", 0.0)
    data = make_field_data()
    whole = run(make_learner(data, loss, policy), data, tmp_path / "whole")
    doomed, steps = make_learner(data, loss, policy), []
    step = doomed.step

    def failing(batch: object) -> None:
        steps.append(1)
        if len(steps) == 13:  # in the middle of the third epoch
            raise KilledError
        step(batch)

    doomed.step = failing
    with pytest.raises(KilledError):
        run(doomed, data, tmp_path / "killed")
    resumed = run(make_learner(data, loss, policy), data, tmp_path / "killed")
    assert resumed.history == whole.history
    assert all(torch.equal(resumed.weights[name], tensor) for name, tensor in whole.weights.items())


def test_l2_is_of_the_batchs_own_embeddings_per_example(policy: Path) -> None:
    """By its gradient: 0.1 · e / B for each time that a row is looked up, if the loss says nothing."""
    data = make_field_data()
    learner = make_learner(data, CrossEntropy(), policy)
    learner._loss = lambda logit_BL, label_B: 0 * logit_BL[:, 0]
    batch = data.train.select(torch.arange(40))
    table = learner.model.table.detach().clone()
    learner.step(batch)
    gradient = learner.model.table.grad
    assert gradient is not None
    rows_BS = batch.row_BS
    expected = torch.zeros_like(table)
    for row in rows_BS.flatten().tolist():
        expected[row] += 0.1 * table[row] / 40
    single = rows_BS.unique()
    assert torch.allclose(gradient.to_dense()[single], expected[single], atol=1e-7)


def test_the_record_is_the_mean_over_examples(policy: Path) -> None:
    data = make_field_data()
    learner = make_learner(data, CrossEntropy(), policy)
    learner._loss = lambda logit_BL, label_B: label_B + 0 * logit_BL[:, 0]
    for batch in data.batches(48, torch.Generator().manual_seed(1)):  # the last one is smaller
        learner.step(batch)
    share = float(data.train.label_N.double().mean())
    assert learner.end_epoch()["train_loss"] == pytest.approx(share)


def test_a_controlled_loss_needs_a_policy_of_the_same_classes(policy: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"training\.loss\.kind: got 'controlled', whose controller"):
        build_loss(CONTROLLED, make_field_data(), None, seed=1)
    with pytest.raises(InvalidInputError, match="its controller is of 2 classes, the data have 3"):
        build_loss(CONTROLLED, make_field_data(3), policy, seed=1)
