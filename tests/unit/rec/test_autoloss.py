"""AutoLoss against its equations."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from components.core.checkpoint import Checkpoint
from components.core.columns import ALPHA, PROBABILITY, TEMPERATURE
from components.core.recipe.classification import (
    ClassificationTraining,
    Controller,
    CrossEntropy,
    DeepFm,
    Focal,
    Hinge,
    Mlp,
)
from components.core.recipe.search import AutoLoss, Temperature
from components.rec import saves
from components.rec.classification import build_classifier, build_loss
from components.rec.endless import EndlessBatches
from components.rec.fields import ExampleBatch, FieldData
from components.rec.gumbel import gumbel_softmax
from components.rec.losses.candidates import CandidateLosses
from components.rec.searchers.autoloss import AutoLossLearner, search
from components.rec.searchers.base import SearchResult
from components.rec.searchers.lookahead import Weights
from components.rec.weights import save_tensors
from tests.unit.rec.examples import make_field_data

TRAINING = ClassificationTraining(
    model=DeepFm(dim=4, init_std=0.1, mlp=Mlp(hidden=(8,))), batch_size=32, learning_rate=0.01, l2=0.01
)
LOSSES = (Focal(), Hinge(), CrossEntropy())
CONTROLLER = Controller(hidden=(8,))
KINDS = {
    "autoloss": AutoLoss(losses=LOSSES, controller=CONTROLLER, every=3),
    "lookahead": AutoLoss(losses=LOSSES, controller=CONTROLLER, every=2, lookahead=0.1),
    "slf": AutoLoss(losses=LOSSES, controller=CONTROLLER, batches="train", every=1),
    "darts": AutoLoss(losses=LOSSES, per_example=False, gumbel=False),
}
EACH = pytest.mark.parametrize("kind", KINDS)


class KilledError(Exception):
    pass


def make_learner(
    config: AutoLoss, data: FieldData, training: ClassificationTraining = TRAINING
) -> AutoLossLearner:
    return AutoLossLearner(config, training, data, build_classifier(training, data, seed=1), seed=1)


def first(data: FieldData, count: int = 32) -> ExampleBatch:
    return data.train.select(torch.arange(count))


def copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def searched(config: AutoLoss, data: FieldData, place: Path, epochs: int = 4) -> SearchResult:
    place.mkdir(exist_ok=True)
    config = config.model_copy(update={"epochs": epochs, "patience": epochs})
    return search(config, TRAINING, data, seed=1, checkpoint=Checkpoint(str(place / "p"), place, "key"))


# -- one step


@pytest.mark.parametrize("num_classes", [2, 3])
def test_a_step_of_the_model_descends_equation_11_with_the_weights_given(num_classes: int) -> None:
    """Against one plain expression; the controller's own step, on a validation batch, comes before."""
    data = make_field_data(num_classes)
    learner, probe = (make_learner(KINDS["autoloss"], data) for _ in range(2))  # draw the same randomness
    batch = first(data)
    learner.step(batch)

    probe._move_controller(batch)
    assert same(learner.controller.state_dict(), probe.controller.state_dict())  # W's step leaves V alone
    twin = build_classifier(TRAINING, data, seed=1).train()
    logit_BL = twin(batch, probe._generators["dropout"])
    with torch.no_grad():
        log_alpha_BT = probe.controller.eval()(batch.label_B, logit_BL)
        p_BT = gumbel_softmax(log_alpha_BT, 1.0, probe._generators["gumbel"])
    loss = (p_BT * CandidateLosses(LOSSES)(logit_BL, batch.label_B)).sum() / 32
    l2 = twin.look_up(batch).rows_BFW.square().sum() / 2 / 32
    (loss + TRAINING.l2 * l2).backward()
    for found, expected in zip(learner.model.parameters(), twin.parameters(), strict=True):
        assert found.grad is not None
        assert expected.grad is not None
        assert torch.allclose(found.grad.to_dense(), expected.grad.to_dense(), atol=1e-6)


def test_the_controllers_step_leaves_the_model_as_it_is() -> None:
    data = make_field_data()
    for kind in ("autoloss", "lookahead"):
        learner = make_learner(KINDS[kind], data)
        before, of_v = copied(learner.model.state_dict()), copied(learner.controller.state_dict())
        learner._move_controller(first(data))
        assert same(copied(learner.model.state_dict()), before)  # running statistics too
        assert all(parameter.grad is None for parameter in learner.model.parameters())
        assert not same(copied(learner.controller.state_dict()), of_v)


@pytest.mark.parametrize("kind", ["autoloss", "slf"])
def test_the_controller_moves_in_the_first_and_then_in_every_fth_step(kind: str) -> None:
    data = make_field_data()
    config = KINDS[kind].model_copy(update={"every": 3})
    learner, moved = make_learner(config, data), []
    for step in range(8):
        before = copied(learner.controller.state_dict())
        learner.step(first(data))
        if not same(before, copied(learner.controller.state_dict())):
            moved.append(step)
    assert moved == [0, 3, 6]


def test_with_train_batches_both_descend_the_same_loss() -> None:
    """SLF: V's gradient is that of the train batch's loss, with one draw for W and V."""
    data = make_field_data()
    learner, probe = (make_learner(KINDS["slf"], data) for _ in range(2))
    batch = first(data)
    learner.step(batch)
    logit_BL = probe.model(batch, probe._generators["dropout"]).detach()
    dropout, noise = probe._generators["controller_dropout"], probe._generators["gumbel"]
    p_BT = gumbel_softmax(probe.controller.train()(batch.label_B, logit_BL, dropout), 1.0, noise)
    (p_BT * CandidateLosses(LOSSES)(logit_BL, batch.label_B)).sum(dim=1).mean().backward()
    for found, expected in zip(learner.controller.parameters(), probe.controller.parameters(), strict=True):
        assert found.grad is not None
        assert expected.grad is not None
        assert torch.allclose(found.grad, expected.grad, atol=1e-7)


@pytest.mark.parametrize("size", [25, 60, 100])
def test_validation_batches_never_end_and_go_on_where_they_were(size: int) -> None:
    examples = make_field_data().valid  # 60
    whole, resumed = (EndlessBatches(examples, size, seed) for seed in (1, 2))
    drawn = [whole.draw() for _ in range(2)]
    state = copied(whole.state())
    drawn += [whole.draw() for _ in range(3)]
    resumed.load_state(state)
    assert all(len(batch) == min(size, 60) for batch in drawn)
    for batch in drawn[2:]:
        assert torch.equal(resumed.draw().row_BS, batch.row_BS)
    if size >= 60:  # a pass is a batch, each in another order
        first_pass, second_pass = (batch.label_B for batch in drawn[:2])
        assert not torch.equal(first_pass, second_pass)
        assert torch.equal(first_pass.sort().values, examples.label_N.sort().values)


# -- the look-ahead


def test_the_look_ahead_is_one_step_of_plain_descent() -> None:
    """Eq. 13 against torch's SGD on a copy, both in float64, with batch norm over the batch."""
    data, rate = make_field_data(3), 0.7
    model, twin = (build_classifier(TRAINING, data, seed=1).double().train() for _ in range(2))
    train, valid = first(data), data.valid.select(torch.arange(20, 50))
    weights = Weights.of(model, train, valid)
    looked = weights.after(CandidateLosses(LOSSES)(weights.logits(train), train.label_B).mean(), rate)
    optimizer = torch.optim.SGD(twin.parameters(), lr=rate)
    CandidateLosses(LOSSES)(twin(train), train.label_B).mean().backward()
    optimizer.step()
    assert torch.allclose(looked.logits(valid), twin(valid), atol=1e-12)
    assert not torch.allclose(looked.logits(valid), weights.logits(valid), atol=1e-3)


def valid_gradient(learner: AutoLossLearner, data: FieldData, state: dict[str, Tensor]) -> Tensor:
    learner.load_state(state)
    loss = learner._valid_loss(first(data), data.valid.select(torch.arange(25)))
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(learner.controller.parameters()))])


def double_learner(config: AutoLoss, data: FieldData) -> AutoLossLearner:
    """In float64, and with a controller that has an opinion."""
    learner = make_learner(config, data)
    learner.model.double()
    learner.controller.double()
    with torch.no_grad():
        for parameter in learner.controller.parameters():
            parameter += 0.5 * torch.randn(
                parameter.shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64
            )
    return learner


@pytest.mark.parametrize("rate", [0.0, 0.5])
@pytest.mark.parametrize("per_example", [True, False])
def test_the_controllers_gradient_is_that_of_finite_differences(rate: float, per_example: bool) -> None:
    data, step = make_field_data(), 1e-6
    controller = Controller(hidden=(3,), dropout=0.0)
    config = AutoLoss(losses=LOSSES, controller=controller, lookahead=rate, per_example=per_example)
    learner = double_learner(config, data)
    state = copied(learner.state())
    found = valid_gradient(learner, data, state)

    def loss_at(name: str, place: int, change: float) -> float:
        moved = copied(state)
        moved[f"controller.{name}"].view(-1)[place] += change
        learner.load_state(moved)  # with the same noise, and the same running statistics
        return learner._valid_loss(first(data), data.valid.select(torch.arange(25))).item()

    expected = [
        (loss_at(name, place, step) - loss_at(name, place, -step)) / (2 * step)
        for name, parameter in learner.controller.named_parameters()
        for place in range(parameter.numel())
    ]
    assert found.abs().max() > 1e-3
    assert torch.allclose(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-5, atol=1e-8)


def test_without_a_look_ahead_only_the_weights_count() -> None:
    """ξ → 0 is ξ = 0, and a ξ above 0 is something else."""
    data, gradients = make_field_data(), {}
    for rate in (0.0, 1e-8, 0.5):
        config = AutoLoss(losses=LOSSES, controller=CONTROLLER, gumbel=False, lookahead=rate)
        learner = double_learner(config, data)
        gradients[rate] = valid_gradient(learner, data, copied(learner.state()))
    assert torch.allclose(gradients[1e-8], gradients[0.0], rtol=1e-5, atol=1e-8)
    assert not torch.allclose(gradients[0.5], gradients[0.0], rtol=1e-2)


# -- epochs and whole searches


def test_the_record_tells_the_means_of_an_epoch_and_the_temperature() -> None:
    data = make_field_data()
    config = KINDS["autoloss"].model_copy(update={"temperature": Temperature(start=1, rate=0.1, minimum=0.4)})
    learner = make_learner(config, data)
    for batch in data.batches(48, torch.Generator().manual_seed(1)):
        learner.step(batch)
    record = learner.end_epoch()
    assert record[TEMPERATURE] == pytest.approx(1 - 0.1 * 4)
    for prefix in (ALPHA, PROBABILITY):
        shares = [record[prefix + loss.kind] for loss in LOSSES]
        assert sum(shares) == pytest.approx(1, abs=1e-9 if prefix == ALPHA else 1e-6)
    weighed = [record[f"loss_{loss.kind}"] for loss in LOSSES]
    assert min(weighed) < record["train_loss"] < max(weighed)
    for batch in data.batches(16, torch.Generator().manual_seed(1)):
        learner.step(batch)
    assert learner.end_epoch()[TEMPERATURE] == 0.4


def test_without_gumbel_noise_the_weights_are_the_controllers() -> None:
    """AL-2 and DARTS."""
    data = make_field_data()
    learner = make_learner(KINDS["autoloss"].model_copy(update={"gumbel": False}), data)
    for batch in data.batches(32, torch.Generator().manual_seed(1)):
        learner.step(batch)
    record = learner.end_epoch()
    for loss in LOSSES:
        assert record[ALPHA + loss.kind] == pytest.approx(record[PROBABILITY + loss.kind], abs=1e-6)


@EACH
def test_a_killed_search_ends_as_if_it_had_not_been(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saves, "_EVERY_S", 0.0)
    data = make_field_data(3)
    whole = searched(KINDS[kind], data, tmp_path / "whole")

    steps, step = [0], AutoLossLearner.step

    def failing(self: AutoLossLearner, batch: ExampleBatch) -> None:
        steps[0] += 1
        if steps[0] == 13:  # in the middle of the third epoch
            raise KilledError
        step(self, batch)

    with monkeypatch.context() as patched:
        patched.setattr(AutoLossLearner, "step", failing)
        with pytest.raises(KilledError):
            searched(KINDS[kind], data, tmp_path / "killed")
    resumed = searched(KINDS[kind], data, tmp_path / "killed")

    assert resumed.policy == whole.policy
    assert resumed.trajectory.history == whole.trajectory.history
    assert whole.weights is not None
    assert resumed.weights is not None
    assert same(resumed.weights, whole.weights)
    assert same(resumed.trajectory.kept, whole.trajectory.kept)


@EACH
def test_the_policy_is_a_loss_that_training_can_have(kind: str, tmp_path: Path) -> None:
    data, config = make_field_data(), KINDS[kind]
    result = searched(config, data, tmp_path)
    patched = result.policy.apply(TRAINING)
    best = result.trajectory.history[result.policy.best_epoch - 1]
    assert result.policy.decision["auc"] == max(record["auc"] for record in result.trajectory.history)
    if config.per_example:
        assert patched.loss.kind == "controlled"
        assert patched.loss.temperature == best[TEMPERATURE]
        assert patched.loss.gumbel == config.gumbel
        assert result.controller is not None
        save_tensors(result.controller, tmp_path / "controller.safetensors")
    else:
        assert patched.loss.kind == "weighted"
        assert result.controller is None
        assert sum(patched.loss.weights) == pytest.approx(1)
        assert max(patched.loss.weights) > 1 / 3
    loss_B = build_loss(patched.loss, data, tmp_path, seed=1)(torch.zeros(9, 1), torch.arange(9) % 2)
    assert loss_B.shape == (9,)


def test_the_weights_move_to_the_loss_that_is_lowest(tmp_path: Path) -> None:
    """That is what eq. 12 descends on, to first order."""
    config = AutoLoss(losses=LOSSES, per_example=False, every=1, controller_learning_rate=0.05)
    last = searched(config, make_field_data(), tmp_path, epochs=15).trajectory.history[-1]
    assert min(LOSSES, key=lambda loss: last[f"loss_{loss.kind}"]) == Focal()
    assert last["alpha_focal"] > 0.7
