"""Classifiers against their papers' formulas, and what all of them stand on."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn

from components.core.errors import InvalidInputError
from components.core.recipe.classification import (
    Amer,
    AutoInt,
    Classifier,
    ClassifierConfig,
    Dcn,
    DeepFm,
    Din,
    Dnn,
    FibiNet,
    Ipnn,
    Mlp,
    Nfm,
    WideAndDeep,
    XDeepFm,
)
from components.core.strategy import registered
from components.rec.classifiers.base import ClassifierModel, log_probabilities, probabilities
from components.rec.fields import FieldData
from components.rec.mlp import Mlp as MlpNetwork
from components.rec.mlp import drop, fully_connected
from tests.unit.rec.field_worlds import (
    MIXED,
    SINGLE,
    make_batch,
    make_field_data,
    make_layout,
    pooled,
    slowly_pooled,
)
from tests.unit.rec.slow_networks import slow_logits

SMALL = Mlp(hidden=(6, 4))
PLAIN = Mlp(hidden=(5,), batch_norm=False, dropout=0)
VARIED = Mlp(hidden=(6, 5, 4, 3), activations=("dice", "swish", "identity", "relu"), batch_norm=False)
NAMES = {SMALL: "normed", PLAIN: "plain", VARIED: "varied"}
CONFIGS: list[Classifier] = [
    Dnn(dim=3, mlp=VARIED),
    *(
        config
        for mlp in (SMALL, PLAIN)
        for config in (
            DeepFm(dim=3, mlp=mlp),
            Ipnn(dim=3, mlp=mlp),
            Nfm(dim=3, mlp=mlp),
            AutoInt(dim=3, mlp=mlp, num_layers=2, num_heads=2, attention_dim=6),
            WideAndDeep(dim=3, mlp=mlp),
            Dcn(dim=3, mlp=mlp, num_layers=2),
            XDeepFm(dim=3, mlp=mlp, cross_layers=(4, 2)),
            Dnn(dim=3, mlp=mlp),
            FibiNet(dim=3, mlp=mlp, reduction=1),
            Amer(dim=3, mlp=mlp),
        )
    ),
]
every_config = pytest.mark.parametrize("config", CONFIGS, ids=[f"{c.kind}-{NAMES[c.mlp]}" for c in CONFIGS])


def build(config: Classifier, data: FieldData, seed: int = 1) -> ClassifierModel:
    """A model none of whose weights is zero, and whose running statistics are those of some training."""
    generator = torch.Generator().manual_seed(seed)
    model: ClassifierModel = config.load()(config, data, generator=generator)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            tensor.normal_(std=0.5, generator=generator)
            if name.endswith("running_var"):
                tensor.abs_().add_(0.1)
    return model


def test_every_kind_is_compared() -> None:
    assert {type(config) for config in CONFIGS} | {Din} == set(registered(ClassifierConfig))  # for which see
    # test_history_networks


@every_config
@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize("poolings", [SINGLE, MIXED], ids=["one field", "five fields"])
def test_logits_are_those_of_the_papers_formula(
    config: Classifier, num_classes: int, poolings: tuple[None, ...]
) -> None:
    data = make_field_data(make_layout(poolings), num_classes)
    model = build(config, data).eval()
    batch = data.train.select(torch.arange(4))
    weights = {name: tensor.double().numpy() for name, tensor in model.network.state_dict().items()}
    rows_BFW = slowly_pooled(model.table.detach().double(), batch, data.layout)
    expected = slow_logits(config, weights, rows_BFW.numpy())
    assert expected.shape == (4, 1 if num_classes == 2 else num_classes)
    np.testing.assert_allclose(model(batch).detach().numpy(), expected, rtol=1e-4, atol=1e-4)


CHOSEN = (("f0", "f1"), ("f4", "f2", "f1"), ("f3", "f0"), ("f0", "f1", "f2", "f3"))


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize(
    "config",
    [
        Amer(dim=3, mlp=PLAIN, interactions=CHOSEN),
        Amer(dim=3, mlp=PLAIN, interactions=CHOSEN, deep=False),
        Amer(dim=3, mlp=PLAIN, interactions=CHOSEN, shortcut=False),
        Amer(dim=3, mlp=PLAIN, interactions=CHOSEN[1:2], deep=False, shortcut=False),
        DeepFm(dim=3, mlp=PLAIN, interactions=CHOSEN),
        DeepFm(dim=3, mlp=PLAIN, interactions=()),
        DeepFm(dim=3, mlp=PLAIN, interactions=CHOSEN, weighted=True),
        DeepFm(dim=3, mlp=PLAIN, weighted=True),
    ],
    ids=[
        "amer",
        "not deep",
        "no shortcut",
        "neither",
        "deepfm",
        "deepfm without any",
        "weighted",
        "all, weighted",
    ],
)
def test_chosen_interactions_are_products_of_their_fields(config: Classifier, num_classes: int) -> None:
    data = make_field_data(make_layout(MIXED), num_classes)
    model = build(config, data).eval()
    batch = data.train.select(torch.arange(4))
    weights = {name: tensor.double().numpy() for name, tensor in model.network.state_dict().items()}
    rows_BFW = slowly_pooled(model.table.detach().double(), batch, data.layout)
    expected = slow_logits(config, weights, rows_BFW.numpy())
    np.testing.assert_allclose(model(batch).detach().numpy(), expected, rtol=1e-4, atol=1e-4)


def test_all_pairs_chosen_are_deepfms_own() -> None:
    data = make_field_data(make_layout(MIXED))
    pairs = tuple((f"f{i}", f"f{j}") for i in range(5) for j in range(i))
    own, chosen = (build(DeepFm(dim=3, mlp=PLAIN, interactions=some), data).eval() for some in (None, pairs))
    chosen.load_state_dict(own.state_dict())
    batch = data.train.select(torch.arange(20))
    assert torch.allclose(own(batch), chosen(batch), atol=1e-5)


def test_interactions_of_unknown_fields_are_refused() -> None:
    data = make_field_data(make_layout(MIXED))
    with pytest.raises(InvalidInputError, match=r"got the fields 'age', 'f9', need some of 'f0', 'f1'"):
        build(Amer(interactions=(("f9", "f0"), ("f1", "age"))), data)


@pytest.mark.parametrize(
    ("interactions", "told"),
    [
        ([["a"]], "at least 2 items"),
        ([["a", "b"], ["c", "a", "c"]], r"number 1 is \['c', 'a', 'c'\], need each field at most once"),
        ([["a", "b"], ["c", "a"], ["b", "a"]], "number 2 is .'b', 'a'., which stands there already"),
    ],
)
def test_interactions_that_are_none(interactions: list[list[str]], told: str) -> None:
    for kind in (Amer, DeepFm):
        with pytest.raises(ValidationError, match=told):
            kind.model_validate({"interactions": interactions})


@every_config
def test_gradients_reach_every_parameter(config: Classifier) -> None:
    data = make_field_data(make_layout(), num_classes=3)
    model = build(config, data).train()
    batch = data.train.select(torch.arange(300))  # touches every row
    loss = torch.nn.functional.cross_entropy(model(batch, torch.Generator().manual_seed(1)), batch.label_B)
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        cancels = config.mlp.batch_norm and "mlp.layers" in name and name.endswith("bias")  # in the norm
        assert cancels or parameter.grad.to_dense().abs().max() > 1e-6, name
    assert (model.table.grad.abs().sum(dim=1) > 0).all()


@every_config
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_order_of_examples_does_not_matter(config: Classifier, seed: int) -> None:
    data = make_field_data(make_layout())
    generator = torch.Generator().manual_seed(seed)
    order_B = torch.randperm(20, generator=generator)
    for mode in (True, False):  # over the batch's statistics, too
        model = build(config, data).train(mode)
        in_turn, mixed = (model(data.train.select(index_B)) for index_B in (torch.arange(20), order_B))
        assert torch.allclose(in_turn[order_B], mixed, rtol=1e-4, atol=1e-5)


def test_nfm_does_not_know_one_field_from_another() -> None:
    data = make_field_data(make_layout(MIXED))
    network = build(Nfm(dim=3, mlp=SMALL), data).eval().network
    rows_BFW = torch.randn(7, 5, 4, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(network(rows_BFW), network(rows_BFW.flip(1)), rtol=1e-4, atol=1e-5)


def test_deepfm_begins_with_its_own_sum() -> None:
    """Of two classes: linear terms + products + MLP, each with weight 1."""
    data = make_field_data(make_layout())
    network = DeepFm().load()(DeepFm(dim=3, mlp=PLAIN), data, generator=torch.Generator()).network
    assert network.output.weight[0, 0] == 1


# -- lookups


@settings(max_examples=30, deadline=None)
@given(size=st.integers(1, 12), seed=st.integers(0, 99), width=st.integers(1, 4))
def test_rows_are_pooled_one_by_one(size: int, seed: int, width: int) -> None:
    layout = make_layout()
    batch = make_batch(layout, size, seed)
    table_RW = torch.randn(layout.num_rows, width, generator=torch.Generator().manual_seed(seed))
    expected = slowly_pooled(table_RW, batch, layout)
    assert torch.allclose(pooled(table_RW, batch, layout), expected, atol=1e-6)
    row_N = batch.rows()
    assert torch.allclose(pooled(table_RW[row_N], batch.within(row_N), layout), expected, atol=1e-6)


def test_pooling_can_be_differentiated_twice() -> None:
    layout = make_layout(first_size=3)
    batch = make_batch(layout, 4)
    table_RW = torch.randn(layout.num_rows, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda table: pooled(table, batch, layout), table_RW)
    assert torch.autograd.gradgradcheck(lambda table: pooled(table, batch, layout).square(), table_RW)


def test_logits_do_not_depend_on_how_many_examples_are_predicted_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = make_field_data(make_layout(), num_classes=3)
    model = build(Nfm(dim=3, mlp=SMALL), data).train()
    at_once = model.predict(data.valid)
    monkeypatch.setattr("components.rec.classifiers.base._PREDICTED_AT_ONCE", 7)
    in_parts = model.predict(data.valid)
    assert model.training
    assert at_once.dtype == torch.float64
    assert torch.allclose(at_once, in_parts, atol=1e-6)
    one_by_one = [model.eval()(data.valid.select(torch.tensor([n]))) for n in range(20)]
    assert torch.allclose(probabilities(torch.cat(one_by_one)).double(), at_once[:20], atol=1e-6)


# -- probabilities


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-200, 200, width=32), min_size=3, max_size=3))
def test_probabilities_of_one_logit_are_those_of_two_classes_against_0(logits: list[float]) -> None:
    logit_B1 = torch.tensor(logits)[:, None]
    both_B2 = torch.cat([torch.zeros(3, 1), logit_B1], dim=1)
    for of in (probabilities, log_probabilities):
        assert torch.allclose(of(logit_B1), of(both_B2), atol=1e-6)
    of_several = log_probabilities(torch.tensor([logits]))
    assert torch.isfinite(of_several).all()
    assert torch.allclose(of_several.exp(), probabilities(torch.tensor([logits])), atol=1e-6)


def test_known_probabilities() -> None:
    logit_B1 = torch.tensor([[0.0], [3.0]]).log1p()  # ln 1 and ln 4
    assert torch.allclose(probabilities(logit_B1), torch.tensor([[0.5, 0.5], [0.2, 0.8]]))
    assert log_probabilities(torch.tensor([[-200.0]])).tolist() == [[0.0, -200.0]]


# -- fully connected layers


def test_layers_normalise_over_the_batch_while_training() -> None:
    config = Mlp(hidden=(5,), dropout=0.3)
    layers = MlpNetwork(config, 3, generator=torch.Generator().manual_seed(1))
    input_BI = torch.randn(8, 3, generator=torch.Generator().manual_seed(2))
    linear_BH = input_BI @ layers.layers[0].weight.T + layers.layers[0].bias
    spread_BH = (linear_BH - linear_BH.mean(dim=0)) / (linear_BH.var(dim=0, correction=0) + 1e-5).sqrt()
    assert layers.outputs == 5
    assert torch.allclose(layers(input_BI), spread_BH.relu(), atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(rate=st.floats(0.01, 0.95), seed=st.integers(0, 99))
def test_dropout_keeps_the_mean_and_follows_its_generator(rate: float, seed: int) -> None:
    ones = torch.ones(200, 200)
    first, again = (drop(ones, rate, torch.Generator().manual_seed(seed)) for _ in range(2))
    assert torch.equal(first, again)
    assert set(first.unique().tolist()) <= {0.0, float(torch.tensor(1) / (1 - rate))}
    assert abs(float((first == 0).float().mean()) - rate) < 0.02
    assert drop(ones, rate, None) is ones
    assert torch.equal(drop(ones, 0.0, torch.Generator()), ones)


@settings(max_examples=20, deadline=None)
@given(inputs=st.integers(1, 50), outputs=st.integers(1, 50), seed=st.integers(0, 99))
def test_a_layer_begins_as_torchs_own(inputs: int, outputs: int, seed: int) -> None:
    """Uniformly within the bounds of torch's, and by its generator alone."""
    torch.manual_seed(seed)
    before = torch.get_rng_state()
    layer = fully_connected(inputs, outputs, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(torch.get_rng_state(), before)
    assert {name: p.shape for name, p in layer.named_parameters()} == {
        name: p.shape for name, p in nn.Linear(inputs, outputs).named_parameters()
    }
    weight: Tensor = layer.weight
    assert weight.abs().max() <= inputs**-0.5
    many = fully_connected(inputs, 5000, generator=torch.Generator().manual_seed(seed)).weight
    assert torch.isclose(many.std(), torch.tensor((3 * inputs) ** -0.5), rtol=0.05)
