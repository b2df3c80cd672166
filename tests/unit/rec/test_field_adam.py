"""A classifier's optimizer against torch's Adam over everything."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from components.compiled import available
from components.core.recipe.classification import DeepFm, Mlp, WideAndDeep
from components.rec.classifiers import base
from components.rec.classifiers.base import ClassifierModel
from components.rec.fields import ExampleBatch, FieldData
from components.rec.optimizers.base import Optimizer
from components.rec.optimizers.dense import DenseAdam
from components.rec.optimizers.together import Together
from tests.unit.rec.field_worlds import make_field_data, make_layout, pooled

RATE, STEPS = 0.01, 50
needs_kernels = pytest.mark.skipif(not available(), reason="Numba is not installed")


@pytest.fixture(scope="module")
def data() -> FieldData:
    """Of 310 rows a batch of 8 touches few, most of them again only after many steps."""
    return make_field_data(make_layout(first_size=60), num_classes=3)


def build(data: FieldData) -> ClassifierModel:
    config = DeepFm(dim=4, mlp=Mlp(hidden=(6,), batch_norm=False))
    model: ClassifierModel = config.load()(config, data, generator=torch.Generator().manual_seed(1))
    return model.train()


def batches(data: FieldData) -> Iterator[ExampleBatch]:
    yield from list(data.batches(8, torch.Generator().manual_seed(2)))[:STEPS]


def train(model: ClassifierModel, optimizer: Optimizer, batches: Iterator[ExampleBatch]) -> None:
    for batch in batches:
        optimizer.zero_grad()
        cross_entropy(model(batch), batch.label_B).backward()
        optimizer.step()


def torchs_adam(data: FieldData) -> ClassifierModel:
    """Trained with torch.optim.Adam over dense gradients."""
    model = build(data)
    adam = torch.optim.Adam(model.parameters(), lr=RATE)
    for batch in batches(data):
        adam.zero_grad()
        logit_BL = model.network(pooled(model.table, batch, model.layout))
        cross_entropy(logit_BL, batch.label_B).backward()
        adam.step()
    return model


def assert_equal(found: ClassifierModel, expected: ClassifierModel) -> None:
    for name, tensor in expected.state_dict().items():
        assert torch.allclose(found.state_dict()[name], tensor, rtol=0, atol=1e-5), name


@needs_kernels
def test_fifty_steps_equal_those_of_dense_adam(data: FieldData) -> None:
    model, expected = build(data), torchs_adam(data)
    optimizer = model.optimizer(RATE)
    assert isinstance(optimizer, Together)
    train(model, optimizer, batches(data))
    everything = torch.arange(data.layout.num_rows)
    assert not torch.allclose(model.table, expected.table, rtol=0, atol=1e-5)  # steps are put off
    assert torch.allclose(model.current(everything), expected.table, rtol=0, atol=1e-5)
    optimizer.settle()
    assert_equal(model, expected)


def test_without_kernels_too(data: FieldData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "takes_kernels", lambda _: False)
    model = build(data)
    optimizer = model.optimizer(RATE)
    assert isinstance(optimizer, DenseAdam)
    train(model, optimizer, batches(data))
    optimizer.settle()
    assert_equal(model, torchs_adam(data))


@needs_kernels
def test_the_tables_gradient_has_the_batchs_rows_alone(data: FieldData) -> None:
    model, batch = build(data), next(batches(data))
    model.optimizer(RATE)
    weight_BFW = torch.randn(8, 5, model.table.shape[1], generator=torch.Generator().manual_seed(3))
    (model.look_up(batch).rows_BFW * weight_BFW).sum().backward()
    gradient = model.table.grad
    assert gradient is not None
    assert torch.equal(gradient._indices()[0], batch.rows())
    dense = model.table.detach().clone().requires_grad_()
    (pooled(dense, batch, data.layout) * weight_BFW).sum().backward()
    assert torch.allclose(gradient.to_dense(), dense.grad, atol=1e-5)


@needs_kernels
def test_gradients_of_two_batches_add_up(data: FieldData) -> None:
    def step(together: bool) -> Tensor:
        model, both = build(data), data.train.select(torch.arange(16))
        optimizer = model.optimizer(RATE)
        parts = [both] if together else [data.train.select(torch.arange(16)[half::2]) for half in (0, 1)]
        for batch in parts:
            cross_entropy(model(batch), batch.label_B, reduction="sum").backward()
        optimizer.step()
        return model.table.detach()

    assert torch.allclose(step(together=True), step(together=False), rtol=0, atol=1e-6)


@needs_kernels
def test_looking_up_and_predicting_on_the_way_changes_nothing(data: FieldData) -> None:
    model, expected = build(data), build(data)
    optimizer = model.optimizer(RATE)
    for number, batch in enumerate(batches(data)):
        if number % 7 == 0:
            model.predict(data.valid)
            model.current(torch.arange(0, data.layout.num_rows, 3))
        train(model, optimizer, iter([batch]))
    train(expected, other := expected.optimizer(RATE), batches(data))
    for each in (optimizer, other):
        each.settle()
    assert_equal(model, expected)


@pytest.mark.parametrize("config", [DeepFm(dim=3), WideAndDeep(dim=3)], ids=lambda config: config.kind)
@pytest.mark.parametrize("kernels", [pytest.param(True, marks=needs_kernels), False])
def test_a_state_that_is_not_settled_goes_on_with_the_same_bits(
    config: DeepFm | WideAndDeep, kernels: bool, data: FieldData, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kernels:
        monkeypatch.setattr(base, "takes_kernels", lambda _: False)

    def begun() -> tuple[ClassifierModel, Optimizer]:
        model = config.load()(config, data, generator=torch.Generator().manual_seed(1)).train()
        return model, model.optimizer(RATE)

    def run(stop_at: int | None) -> dict[str, Tensor]:
        model, optimizer = begun()
        for number, batch in enumerate(batches(data)):
            if number == stop_at:
                weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
                state = {name: tensor.clone() for name, tensor in optimizer.state().items()}
                model, optimizer = begun()
                model.load_state_dict(weights)
                optimizer.load_state(state)
            train(model, optimizer, iter([batch]))
        optimizer.settle()
        return model.state_dict()

    straight, resumed = run(None), run(31)
    assert straight.keys() == resumed.keys()
    for name, tensor in straight.items():
        assert torch.equal(resumed[name], tensor), name
