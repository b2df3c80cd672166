"""AMER's step 3: children that are parts of one wide MLP."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits

from components.core.checkpoint import Checkpoint
from components.core.recipe.classification import Amer, ClassificationTraining, Mlp
from components.core.recipe.search import AmerForFields, FineTune, MlpSearch
from components.rec.classification import build_classifier
from components.rec.classifiers.amer import AmerModel
from components.rec.fields import FieldData
from components.rec.searchers.amer.fields import search
from components.rec.searchers.amer.interactions import CandidateLearner
from components.rec.searchers.amer.mlps import (
    Layers,
    MlpLearner,
    child_of,
    config_of,
    fair_layers,
    measure_layers,
    one_shot,
    random_layers,
    told,
    widest,
)
from components.rec.searchers.base import SearchResult

from .field_worlds import MIXED, make_field_data, make_layout
from .stopping import stopped_and_gone_on

MLP = Mlp(hidden=(6, 4), dropout=0, batch_norm=False)
MODEL = Amer(dim=3, mlp=MLP, interactions=(("f0", "f2"),))
TRAINING = ClassificationTraining(model=MODEL, batch_size=50, metric="logloss")
SMALL = MlpSearch(epochs=2, children=20, top=2, fine_tune=FineTune(epochs=1, learning_rate=1e-3))


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def data() -> FieldData:
    return make_field_data(make_layout(MIXED))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 100), count=st.integers(1, 5))
def test_a_step_has_every_width_of_the_first_layer_once(seed: int, count: int) -> None:
    children = fair_layers(MlpSearch(), 40, count, generator(seed))
    assert sorted(layers[0][0] for layers in children) == [4, 8, 12, 16, 20, 24, 28, 32, 36, 40]
    for layers in children:
        widths = [width for width, _ in layers]
        assert len(widths) == count
        assert widths == sorted(widths, reverse=True)
    for number in range(count):
        counts = Counter(layers[number][1] for layers in children)
        assert sorted(counts.values()) == [2, 2, 3, 3]


def test_random_children_are_distinct() -> None:
    children = random_layers(MlpSearch(), 40, 3, 300, generator())
    assert len(set(children)) == len(children) == 300
    assert all(a >= b >= c for (a, _), (b, _), (c, _) in children)
    tiny = MlpSearch(shares=(0.5,), activations=("relu", "swish"))
    assert sorted(random_layers(tiny, 3, 1, 300, generator())) == [((2, "relu"),), ((2, "swish"),)]


def wide(data: FieldData, training: ClassificationTraining = TRAINING) -> AmerModel:
    model = one_shot(training, data, 1)
    for tensor in model.parameters():
        torch.nn.init.normal_(tensor, std=0.3, generator=generator(2))
    return model


def child(model: AmerModel, layers: Layers, data: FieldData) -> AmerModel:
    mlp = config_of(layers, MLP)
    section = TRAINING.model_copy(update={"model": MODEL.model_copy(update={"mlp": mlp})})
    built = build_classifier(section, data, 9)
    built.load_state_dict(child_of(model, layers))
    assert isinstance(built, AmerModel)
    return built


def some_children() -> list[Layers]:
    return random_layers(MlpSearch(), 18, 2, 25, generator(3))


def test_the_widest_is_as_wide_as_its_input(data: FieldData) -> None:
    assert widest(MODEL, data) == 18
    assert widest(MODEL.model_copy(update={"deep": False}), data) == 15
    assert [tuple(layer.weight.shape) for layer in wide(data).network.mlp.layers] == [(18, 18), (18, 18)]


@pytest.mark.parametrize("shortcut", [True, False])
def test_children_are_worth_what_each_is_by_itself(
    shortcut: bool, data: FieldData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Normalised over the examples that they are looked at by, where Dice normalises."""
    monkeypatch.setattr("components.rec.searchers.amer.mlps._AT_ONCE", 7)
    monkeypatch.setattr(f"{__name__}.MODEL", MODEL.model_copy(update={"shortcut": shortcut}))
    training = TRAINING.model_copy(update={"model": MODEL})
    model, children = wide(data, training), some_children()
    batch = data.valid.select(torch.arange(60))
    found = measure_layers(model, children, batch, "logloss")
    for layers, value in zip(children, found, strict=True):
        alone = child(model, layers, data).train()
        logit = alone(batch).detach().squeeze(1)
        expected = binary_cross_entropy_with_logits(logit, batch.label_B.float())
        assert value == pytest.approx(float(expected), rel=1e-4), layers
    assert measure_layers(model, children[::-1], batch, "logloss") == found[::-1]
    assert model.training


def test_a_step_follows_the_mean_gradient_of_its_children(data: FieldData) -> None:
    model, twin = wide(data), wide(data)
    learner = MlpLearner(SMALL, TRAINING, data, model, seed=1)
    drawn = torch.Generator()
    drawn.set_state(learner._draw.get_state())
    batch = data.train.select(torch.arange(50))
    learner.step(batch)
    children = fair_layers(SMALL, 18, 2, drawn)
    total = torch.zeros(())
    expected = {name: torch.zeros_like(tensor) for name, tensor in model.network.named_parameters()}
    for layers in children:
        alone = child(twin, layers, data).train()
        loss = binary_cross_entropy_with_logits(alone(batch).squeeze(1), batch.label_B.float())
        (loss / len(children)).backward()
        total += loss.detach() / len(children)
        inputs = 18
        for number, (width, activation) in enumerate(layers):
            own = alone.network.mlp.layers[number]
            expected[f"mlp.layers.{number}.weight"][:width, :inputs] += own.weight.grad
            expected[f"mlp.layers.{number}.bias"][:width] += own.bias.grad
            if activation == "dice":
                slope = alone.network.mlp.activations[number].slope
                expected[f"mlp.activations.{number}.slope"][:width] += slope.grad
            inputs = width
        output = alone.network.output.weight.grad
        expected["output.weight"][:, :inputs] += output[:, :inputs]
        expected["output.weight"][:, 18:] += output[:, inputs:]
        expected["output.bias"] += alone.network.output.bias.grad
        for name in ("project", "squeeze", "excite"):
            expected[f"gate.{name}.weight"] += getattr(alone.network.gate, name).weight.grad
    assert float(learner._loss_sum) / 50 == pytest.approx(float(total), rel=1e-5)
    for name, parameter in model.network.named_parameters():
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, expected[name], atol=1e-6), name


def run(place: Path, data: FieldData, steps: Any = ("interactions", "mlp"), seed: int = 1) -> SearchResult:
    place.mkdir(exist_ok=True)
    config = AmerForFields(
        steps=steps, rounds=2, keep=4, chosen=3, epochs=2, learning_rate=0.01, examples=150, mlp=SMALL
    )
    checkpoint = Checkpoint(str(place / "policy"), place, "key")
    return search(config, TRAINING, data, seed=seed, checkpoint=checkpoint)


@pytest.mark.parametrize("steps", [("interactions", "mlp"), ("mlp",)], ids=["AMER-23", "AMER-3"])
def test_the_policy_is_a_child_that_retraining_goes_on_from(
    steps: Any, data: FieldData, tmp_path: Path
) -> None:
    result = run(tmp_path / "a", data, steps)
    patched = result.policy.apply(TRAINING)
    assert isinstance(patched.model, Amer)
    assert len(patched.model.interactions) == (3 if len(steps) == 2 else 1)
    assert len(patched.model.mlp.hidden) == 2
    assert ("products" in result.policy.decision) == (len(steps) == 2)
    model = build_classifier(patched, data, seed=9)
    assert result.weights is not None
    model.load_state_dict(result.weights)
    best = result.policy.decision["best"]
    assert data.validate(model, "logloss")["logloss"] == min(one["fine_tuned"] for one in best)
    assert [one["shared"] for one in best] == sorted(one["shared"] for one in best)
    assert result.policy.epochs == len(result.trajectory.history) == (4 if len(steps) == 2 else 2)


def test_a_search_is_made_by_its_seed_alone(data: FieldData, tmp_path: Path) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one, same, other = (
        run(tmp_path / name, data, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert one.policy == same.policy
    assert one.policy != other.policy


@pytest.mark.parametrize(("where", "steps"), [(CandidateLearner, 15), (MlpLearner, 5), (MlpLearner, 24)])
def test_a_search_that_was_stopped_ends_as_if_it_had_not_been(
    where: Any, steps: int, data: FieldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, found = stopped_and_gone_on(where, steps, lambda name: run(tmp_path / name, data), monkeypatch)
    assert found.policy == expected.policy
    assert expected.weights is not None
    assert found.weights is not None
    assert all(torch.equal(found.weights[name], tensor) for name, tensor in expected.weights.items())


def test_a_child_is_told_in_words() -> None:
    assert told(((40, "dice"), (8, "relu"))) == "40 dice → 8 relu"
