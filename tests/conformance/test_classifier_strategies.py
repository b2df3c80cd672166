"""Every classifier that a recipe can name passes the same tests."""

from pathlib import Path
from typing import Any, get_args

import onnxruntime
import pytest
import torch
from torch.nn.functional import nll_loss, pad

from components.core.recipe.classification import Amer, Classifier, ClassifierConfig, DeepFm, Din, Dnn, Mlp
from components.core.recipe.sequences import Block, LayerName, NormName
from components.core.strategy import Strategy, registered
from components.rec.classifiers.base import ClassifierModel, log_probabilities, probabilities
from components.rec.classifiers.export import export
from components.rec.fields import FieldData, Layout
from components.rec.weights import load_tensors, save_tensors
from tests.unit.rec.field_worlds import MIXED, SINGLE, make_field_data, make_layout

MODELS = registered(ClassifierConfig)
every_model = pytest.mark.parametrize(
    "strategy", MODELS, ids=[strategy.model_fields["kind"].default for strategy in MODELS]
)
every_number_of_classes = pytest.mark.parametrize("num_classes", [2, 5])
every_layout = pytest.mark.parametrize(
    "poolings", [SINGLE, ("mean",), MIXED], ids=["one field", "one of several values", "five fields"]
)
with_and_without_histories = pytest.mark.parametrize("histories", [(), ("f0",)], ids=["", "with a history"])


def layout_for(
    strategy: type[Strategy], poolings: Any = MIXED, first_size: int = 12, histories: Any = ()
) -> Layout:
    """With a history where the model cannot do without."""
    return make_layout(poolings, first_size, histories or (("f0",) if strategy is Din else ()))


def build(strategy: type[Strategy], data: FieldData, seed: int = 1) -> ClassifierModel:
    model: ClassifierModel = strategy.load()(strategy(), data, generator=torch.Generator().manual_seed(seed))
    return model


def train(model: ClassifierModel, data: FieldData, epochs: int, learning_rate: float = 0.01) -> None:
    """Cross-entropy, with dropout."""
    model.train()
    optimizer = model.optimizer(learning_rate)
    order, dropout = torch.Generator().manual_seed(2), torch.Generator().manual_seed(3)
    for _ in range(epochs):
        for batch in data.batches(100, order):
            optimizer.zero_grad()
            nll_loss(log_probabilities(model(batch, dropout)), batch.label_B).backward()
            optimizer.step()
    optimizer.settle()


@every_model
@every_number_of_classes
@every_layout
@with_and_without_histories
@pytest.mark.parametrize("size", [2, 33])
def test_model_gives_each_example_its_logits(
    strategy: type[Strategy], num_classes: int, poolings: tuple[None, ...], histories: Any, size: int
) -> None:
    data = make_field_data(layout_for(strategy, poolings, histories=histories), num_classes)
    model, batch = build(strategy, data), data.train.select(torch.arange(size))
    for dropout in (None, torch.Generator().manual_seed(1)):
        logit_BL = model.train()(batch, dropout)
        assert logit_BL.shape == (size, data.num_logits)
        assert torch.isfinite(logit_BL).all()
    logit_BL.square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    probability_NC = model.predict(data.valid)
    assert probability_NC.shape == (len(data.valid), num_classes)
    assert torch.allclose(probability_NC.sum(dim=1), torch.ones(len(data.valid)).double())


@every_model
def test_model_is_made_by_its_seed_alone(strategy: type[Strategy]) -> None:
    data = make_field_data(layout_for(strategy))
    before = torch.get_rng_state()
    first, second, other = (build(strategy, data, seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    batch = data.train.select(torch.arange(30))
    model = build(strategy, data).train()
    dropped = [model(batch, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(dropped[0], dropped[1])
    assert not torch.equal(dropped[0], dropped[2])


@every_model
@every_number_of_classes
def test_model_begins_with_small_embeddings_and_no_linear_weights(
    strategy: type[Strategy], num_classes: int
) -> None:
    data = make_field_data(layout_for(strategy, first_size=500), num_classes)
    model, config = build(strategy, data), strategy()
    width = config.dim + (data.num_logits if model.network.linear else 0)
    assert model.table.shape == (data.layout.num_rows, width)
    assert model.table[:, : config.dim].std().item() == pytest.approx(config.init_std, rel=0.05)
    assert not model.table[:, config.dim :].any()


@every_model
def test_model_names_the_tensors_with_a_row_for_each_value(strategy: type[Strategy]) -> None:
    small, large = (
        build(strategy, make_field_data(layout_for(strategy, first_size=size))) for size in (5, 9)
    )
    assert small.rows == {"table": "value"}
    for name, tensor in small.state_dict().items():
        other = large.state_dict()[name].shape
        assert name == "table" or (name.startswith("network.") and tensor.shape == other)
    assert (len(small.table), len(large.table)) == (35, 55)


@every_model
@every_number_of_classes
def test_model_learns_what_fields_are_worth(strategy: type[Strategy], num_classes: int) -> None:
    data = make_field_data(layout_for(strategy), num_classes, num_train=1500, num_valid=500)
    model = build(strategy, data)
    before = data.validate(model, "auc")
    train(model, data, epochs=15)
    after = data.validate(model, "auc")
    assert after["auc"] > 0.9
    assert after["logloss"] < before["logloss"]


@every_model
def test_model_is_the_same_after_a_round_trip(strategy: type[Strategy], tmp_path: Path) -> None:
    data = make_field_data(layout_for(strategy))
    model, other = build(strategy, data), build(strategy, data, seed=2)
    train(model, data, epochs=1)
    save_tensors(model.state_dict(), tmp_path / "weights")
    other.load_state_dict(load_tensors(tmp_path / "weights", torch.device("cpu")))
    assert torch.equal(other.predict(data.valid), model.predict(data.valid))


@every_model
def test_optimizer_goes_on_where_it_stopped(strategy: type[Strategy]) -> None:
    """Within an epoch, with steps that were put off."""
    data = make_field_data(layout_for(strategy, first_size=100))

    def run(stop_at: int | None) -> dict[str, torch.Tensor]:
        model, dropout = build(strategy, data).train(), torch.Generator().manual_seed(3)
        optimizer = model.optimizer(0.01)
        for number, batch in enumerate(data.batches(40, torch.Generator().manual_seed(2))):
            if number == stop_at:
                weights, state = model.state_dict(), optimizer.state()
                model = build(strategy, data, seed=9).train()
                optimizer = model.optimizer(0.01)
                model.load_state_dict(weights)
                optimizer.load_state(state)
            optimizer.zero_grad()
            nll_loss(log_probabilities(model(batch, dropout)), batch.label_B).backward()
            optimizer.step()
        optimizer.settle()
        return model.state_dict()

    straight, resumed = run(None), run(7)
    for name, tensor in straight.items():
        assert torch.equal(resumed[name], tensor), name


@every_model
@pytest.mark.parametrize("poolings", [SINGLE, MIXED], ids=["one field", "five fields"])
def test_network_is_the_same_outside_of_torch(
    strategy: type[Strategy], poolings: tuple[None, ...], tmp_path: Path
) -> None:
    require_same_outside(strategy(), layout_for(strategy, poolings), tmp_path)


def test_activations_are_the_same_outside_of_torch(tmp_path: Path) -> None:
    mlp = Mlp(hidden=(8, 7, 6, 5), activations=("dice", "swish", "identity", "relu"))
    require_same_outside(Dnn(mlp=mlp), make_layout(), tmp_path)


def test_interactions_are_the_same_outside_of_torch(tmp_path: Path) -> None:
    interactions = (("f0", "f1"), ("f4", "f2", "f1"))
    require_same_outside(Amer(interactions=interactions), make_layout(), tmp_path)
    require_same_outside(DeepFm(interactions=interactions, weighted=True), make_layout(), tmp_path)


def test_blocks_are_the_same_outside_of_torch(tmp_path: Path) -> None:
    blocks = tuple(
        Block(layer=name, norm=norm) for name in get_args(LayerName) for norm in get_args(NormName)
    )
    layout = make_layout(histories=("f0", "f2"))
    require_same_outside(Amer(dim=8, blocks=blocks), layout, tmp_path)


def require_same_outside(config: Classifier, layout: Layout, tmp_path: Path) -> None:
    data = make_field_data(layout, num_classes=5)
    model: ClassifierModel = config.load()(config, data, generator=torch.Generator().manual_seed(1))
    train(model, data, epochs=1)
    model.train()
    for name in ("first", "second"):
        export(model, tmp_path / name)
    assert model.training
    written = (tmp_path / "first").read_bytes()
    assert written == (tmp_path / "second").read_bytes()
    assert b".py" not in written
    session = onnxruntime.InferenceSession(str(tmp_path / "first"), providers=["CPUExecutionProvider"])
    for size in (1, 50):
        looked = model.look_up(data.valid.select(torch.arange(size)))
        inputs = {"rows": looked.rows_BFW.detach().numpy()}
        if looked.past is not None:
            longest = session.get_inputs()[1].shape[1]
            before = (longest - looked.past.state_BTK.shape[1], 0)
            inputs["past"] = pad(looked.past.state_BTK.detach(), (0, 0, *before)).numpy()
            inputs["there"] = pad(looked.past.there_BT, before).numpy()
        (logit_BL,) = session.run(["logit"], inputs)
        found = probabilities(torch.from_numpy(logit_BL)).double()
        assert torch.allclose(found, model.predict(data.valid)[:size], atol=1e-5)
