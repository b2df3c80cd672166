"""Networks that read histories, against formulas for one example after another, without empty places."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from components.core.recipe.classification import Amer, Classifier, DeepFm, Din, Mlp
from components.core.recipe.sequences import Block
from components.rec.classifiers.base import ClassifierModel, looked_up
from components.rec.fields import FieldData
from components.rec.sequences.blocks import ChoiceBlock

from .field_worlds import MIXED, make_batch, make_field_data, make_layout, slowly_pooled, slowly_read
from .slow_networks import layer, mlp, slow_logits

Array = NDArray[np.float64]
HISTORIES = ("f0", "f2")
PLAIN = Mlp(hidden=(5,), batch_norm=False, dropout=0)
BLOCKS = (
    Block(layer="target", norm="none", activation="identity"),
    Block(layer="gru", norm="layer", activation="swish"),
    Block(layer="zero"),
    Block(layer="max3", norm="none", activation="gelu"),
    Block(layer="target", norm="layer", activation="relu"),
)


@pytest.fixture(scope="module")
def data() -> FieldData:
    return make_field_data(make_layout(MIXED, histories=HISTORIES))


def build(config: Classifier, data: FieldData) -> ClassifierModel:
    generator = torch.Generator().manual_seed(1)
    model: ClassifierModel = config.load()(config, data, generator=generator)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.normal_(std=0.5, generator=generator)
    return model.double().eval()


def attention(w: dict[str, Array], name: str, states: Array, target: Array) -> Array:
    """(T,) of each place, one after another."""
    found = []
    for h in states:
        both = np.concatenate([h, target, h - target, h * target])
        x = both @ w[f"{name}.inner"] + w[f"{name}.inner_bias"]
        slopes = zip(x, w[f"{name}.slope"], strict=True)
        hidden = np.array([max(one, 0) + slope * min(one, 0) for one, slope in slopes])
        found.append(float((hidden @ w[f"{name}.outer"] + w[f"{name}.outer_bias"])[0]))
    return np.array(found)


def parts(model: ClassifierModel, data: FieldData) -> tuple[dict[str, Array], Array, list[Array]]:
    """Weights, (B, F, D) rows of the fields without histories, and of each example (T, K)."""
    weights = {name: tensor.numpy() for name, tensor in model.network.state_dict().items()}
    batch, table = data.train.select(torch.arange(8)), model.table.detach()
    rows_BFD = slowly_pooled(table, batch, data.layout)[:, : len(MIXED)]
    return weights, rows_BFD.numpy(), [some.numpy() for some in slowly_read(table, batch, data.layout)]


def expect(model: ClassifierModel, data: FieldData, expected: Sequence[Array]) -> None:
    found = model(data.train.select(torch.arange(8))).detach().numpy()
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-8, atol=1e-8)


def test_din_weighs_behaviours_by_what_the_example_is_about(data: FieldData) -> None:
    model = build(Din(dim=3, mlp=PLAIN, attention=4), data)
    w, rows_BFD, histories = parts(model, data)
    expected = []
    for e, states in zip(rows_BFD, histories, strict=True):
        target = np.concatenate([e[0], e[2]])
        interest = attention(w, "weigh", states, target) @ states
        expected.append(layer(w, "output", mlp(w, np.concatenate([e.reshape(-1), interest]))))
    expect(model, data, expected)


@pytest.mark.parametrize("blocks", [(), BLOCKS], ids=["as they are", "through blocks"])
@pytest.mark.parametrize("changes", [{}, {"deep": False}, {"shortcut": False}], ids=str)
def test_amer_sums_up_what_blocks_make_of_behaviours(blocks: Any, changes: Any, data: FieldData) -> None:
    """h = [Σ hₜ ; h_T ; Σ a hₜ], between the fields and the interactions."""
    config = Amer(dim=4, mlp=PLAIN, attention=4, blocks=blocks, interactions=(("f0", "f1"),), **changes)
    model = build(config, data)
    w, rows_BFD, histories = parts(model, data)
    expected = []
    for e, states in zip(rows_BFD, histories, strict=True):
        target = np.concatenate([e[0], e[2]])
        for place, block in enumerate(blocks):
            states = _through(model.network.history.blocks[place], block, states, target)
        summed = [states.sum(axis=0), states[-1], attention(w, "history.weigh", states, target) @ states]
        product = e[0] * e[1]
        both = np.concatenate([e, product[None]])
        deep = [e.reshape(-1), *summed, *([product] if config.deep else [])]
        hidden = mlp(w, np.concatenate(deep))
        if config.shortcut:
            squeezed = w["gate.squeeze.weight"] @ (both @ w["gate.project.weight"][0])
            gate = 1 / (1 + np.exp(-(w["gate.excite.weight"] @ np.maximum(squeezed, 0))))
            hidden = np.concatenate([hidden, gate @ both])
        expected.append(layer(w, "output", hidden))
    expect(model, data, expected)


def _through(choices: Any, block: Block, states: Array, target: Array) -> Array:
    """One history by itself, through layers that have tests of their own."""
    assert isinstance(choices, ChoiceBlock)
    if block.layer == "target":
        normed = choices.norm(torch.from_numpy(states)).detach().numpy() if block.norm == "layer" else states
        w = {
            f"weigh.{name}": tensor.numpy()
            for name, tensor in choices.layers["target"].weigh.state_dict().items()
        }
        out = attention(w, "weigh", normed, target)[:, None] * normed
        return (np.maximum(out, 0) if block.activation == "relu" else out) + states
    there = torch.ones(1, len(states), dtype=torch.bool)
    made: Tensor = choices(torch.from_numpy(states)[None], there, block, torch.from_numpy(target)[None])
    return made[0].detach().numpy()


def test_models_that_read_no_histories_pool_them(data: FieldData) -> None:
    model = build(DeepFm(dim=3, mlp=PLAIN), data)
    batch = data.train.select(torch.arange(8))
    rows_BFW = slowly_pooled(model.table.detach(), batch, data.layout)
    assert rows_BFW.shape[1] == len(MIXED) + len(HISTORIES)
    weights = {name: tensor.numpy() for name, tensor in model.network.state_dict().items()}
    config = DeepFm(dim=3, mlp=PLAIN)
    expect(model, data, list(slow_logits(config, weights, rows_BFW.numpy())))


def test_a_history_looks_into_the_table_of_its_field() -> None:
    layout = make_layout(MIXED, histories=HISTORIES)
    assert layout.num_rows == make_layout(MIXED).num_rows
    assert layout.offset_F[5:] == (layout.offset_F[0], layout.offset_F[2])
    batch, generator = make_batch(layout, 9), torch.Generator().manual_seed(2)
    table = torch.randn(layout.num_rows, 3, generator=generator, dtype=torch.float64)
    past = looked_up(table, batch, layout, apart=True).past
    assert past is not None
    for states, there, expected in zip(*past, slowly_read(table, batch, layout), strict=True):
        assert torch.equal(states[there], expected)
        assert not states[~there].any()
        assert there[-1]
        assert there.tolist() == sorted(there.tolist())


def test_lookups_of_histories_can_be_differentiated_twice() -> None:
    layout = make_layout(MIXED, first_size=3, histories=HISTORIES)
    batch = make_batch(layout, 4)
    table = torch.randn(layout.num_rows, 2, dtype=torch.float64, requires_grad=True)

    def squares(table: Tensor) -> Tensor:
        rows, past = looked_up(table, batch, layout, apart=True)
        assert past is not None
        return rows.square().sum() + past.state_BTK.pow(3).sum()

    assert torch.autograd.gradcheck(squares, table)
    assert torch.autograd.gradgradcheck(squares, table)
