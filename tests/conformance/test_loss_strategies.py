"""Every loss of classes, and every search for one, that a recipe can name passes the same tests."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from components.core.checkpoint import Checkpoint
from components.core.policy import Policy
from components.core.recipe.classification import (
    Amer,
    ClassificationLoss,
    ClassificationTraining,
    Controlled,
    Controller,
    DeepFm,
    Mlp,
)
from components.core.recipe.search import AmerForFields, ClassifierSearch
from components.core.strategy import Strategy, registered
from components.rec.classification import ClassificationLearner, build_classifier, build_loss
from components.rec.controller import ControllerNetwork
from components.rec.loop import Schedule, fit
from components.rec.losses.base import ClassLoss
from components.rec.weights import save_tensors
from tests.unit.rec.examples import make_field_data

CONTROLLER = Controller(hidden=(8,))
CONFIGS = {
    kind.model_fields["kind"].default: Controlled(controller=CONTROLLER) if kind is Controlled else kind()
    for kind in registered(ClassificationLoss)
}
EACH = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
DATA = {num_classes: make_field_data(num_classes) for num_classes in (2, 3)}
MODEL = DeepFm(dim=4, init_std=0.1, mlp=Mlp(hidden=(8,)))


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Of each number of classes one whose controller has an opinion."""
    places = {}
    for num_classes in DATA:
        generator = torch.Generator().manual_seed(1)
        controller = ControllerNetwork(CONTROLLER, num_classes, 4, generator=generator)
        torch.nn.init.normal_(controller.output.weight, generator=generator)
        places[num_classes] = tmp_path_factory.mktemp("policy")
        save_tensors(controller.state_dict(), places[num_classes] / "controller.safetensors")
    return places


def make(config: Strategy, num_classes: int, policies: dict[int, Path]) -> ClassLoss:
    return build_loss(config, DATA[num_classes], policies[num_classes], seed=1)


@EACH
@settings(max_examples=40, deadline=None)
@given(
    logits=st.lists(st.floats(-100, 100, width=32), min_size=3, max_size=15),
    labels=st.lists(st.integers(0, 5), min_size=15, max_size=15),
    num_classes=st.sampled_from(list(DATA)),
)
def test_a_loss_is_per_example_and_finite(
    config: Strategy, logits: list[float], labels: list[int], num_classes: int, policies: dict[int, Path]
) -> None:
    num_logits = DATA[num_classes].num_logits
    logit_BL = torch.tensor(logits)[: len(logits) // num_logits * num_logits].view(-1, num_logits)
    logit_BL.requires_grad_()
    label_B = torch.tensor(labels)[: len(logit_BL)] % num_classes
    value_B = make(config, num_classes, policies)(logit_BL, label_B)
    value_B.sum().backward()
    assert value_B.shape == (len(label_B),)
    assert logit_BL.grad is not None
    assert torch.isfinite(value_B).all()
    assert torch.isfinite(logit_BL.grad).all()
    assert (value_B >= -1e-5).all()


@EACH
@pytest.mark.parametrize("num_classes", DATA)
def test_a_right_prediction_costs_less_than_a_wrong_one(
    config: Strategy, num_classes: int, policies: dict[int, Path]
) -> None:
    label_B = torch.arange(30) % num_classes
    right_BL = 4.0 * torch.nn.functional.one_hot(label_B, num_classes)
    if num_classes == 2:
        right_BL = right_BL[:, 1:] - 2
    loss = make(config, num_classes, policies)
    assert (loss(right_BL, label_B) < loss(-right_BL, label_B)).all()


@EACH
def test_no_example_has_a_part_in_anothers_loss(config: Strategy, policies: dict[int, Path]) -> None:
    if isinstance(config, Controlled):
        config = config.model_copy(update={"gumbel": False})  # whose noise goes by places in the batch
    logit_BL, label_B = torch.randn(20, 3), torch.arange(20) % 3
    loss = make(config, 3, policies)
    assert torch.allclose(loss(logit_BL, label_B)[5:9], loss(logit_BL[5:9], label_B[5:9]), atol=1e-6)


@EACH
def test_a_loss_is_made_by_its_seed_alone(config: Strategy, policies: dict[int, Path]) -> None:
    logit_BL, label_B = torch.randn(20, 3), torch.arange(20) % 3
    before = torch.get_rng_state()
    first, second = (make(config, 3, policies)(logit_BL, label_B) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


@EACH
@pytest.mark.parametrize("num_classes", DATA)
def test_a_classifier_learns_with_it(
    config: Strategy, num_classes: int, policies: dict[int, Path], tmp_path: Path
) -> None:
    data = DATA[num_classes]
    training = ClassificationTraining(model=MODEL, loss=config, learning_rate=0.02)
    loss = make(config, num_classes, policies)
    learner = ClassificationLearner(training, data, build_classifier(training, data, seed=1), loss, seed=1)
    schedule = Schedule(epochs=25, patience=25, validate_every=1, batch_size=32, metric="auc")
    checkpoint = Checkpoint(str(tmp_path / "a"), tmp_path, "key")
    result = fit(learner, data, schedule, seed=1, checkpoint=checkpoint, name="t")
    # who knows the item's class, and nothing of the labels by chance, gets about 0.8
    assert result.best_value > 0.75


SEARCHES = {
    kind.model_fields["kind"].default: kind
    for kind in registered(ClassifierSearch)
    if kind.model_fields["kind"].default != "policy"  # another search's, which the stage takes as it is
}


@pytest.mark.parametrize("num_classes", DATA)
@pytest.mark.parametrize("strategy", SEARCHES.values(), ids=SEARCHES)
def test_a_search_gives_a_policy_that_trains(
    strategy: type[Strategy], num_classes: int, tmp_path: Path
) -> None:
    data = DATA[num_classes]
    model = Amer(dim=MODEL.dim, mlp=MODEL.mlp) if strategy is AmerForFields else MODEL
    training = ClassificationTraining(model=model, batch_size=32)
    short = {
        "epochs": 2,
        "rounds": 1,
        "trials": 3,
        "mlp": {"children": 9, "epochs": 1},
        "controller": {"hidden": [8]},
    }
    config = strategy.model_validate({k: v for k, v in short.items() if k in strategy.model_fields})
    results = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        checkpoint = Checkpoint(str(tmp_path / name / "policy"), tmp_path / name, "key")
        results.append(strategy.load()(config, training, data, seed=1, checkpoint=checkpoint))
    result, again = results

    result.policy.write(tmp_path)
    assert Policy.read(tmp_path) == result.policy == again.policy
    assert result.trajectory.history == again.trajectory.history
    if result.controller is not None:
        save_tensors(result.controller, tmp_path / "controller.safetensors")
    patched = result.policy.apply(training)
    assert isinstance(patched, ClassificationTraining)
    assert patched.model.kind == training.model.kind
    model = build_classifier(patched, data, seed=1)
    if result.weights is not None:
        model.load_state_dict(result.weights)
    loss = build_loss(patched.loss, data, tmp_path, seed=1)
    learner = ClassificationLearner(patched, data, model, loss, seed=1)
    learner.step(data.train.select(torch.arange(32)))
    assert 0 < learner.end_epoch()["train_loss"] < 3
