"""Layers over histories against torch's own, one history at a time."""

from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from components.core.recipe import RankingTraining
from components.core.recipe.sequences import (
    LAYERS_WITHOUT_TARGET,
    SEQUENCE_MODELS,
    AnySequenceModel,
    Block,
    Blocks,
    Caser,
    LayerName,
)
from components.rec.objective import build_model
from components.rec.sequences.blocks import ACTIVATIONS, build_layer
from components.rec.sequences.histories import NONE
from components.rec.sequences.layers import Recurrence, SelfAttention, clear
from components.rec.sequences.model import SequenceModel
from tests.unit.rec.conftest import make_data

DIM, LENGTH, COUNTS = 8, 7, (1, 2, 3, 5, 7)
LAYERS = pytest.mark.parametrize("name", get_args(LayerName))


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def histories() -> tuple[Tensor, Tensor]:
    """States of several lengths, at the end of a table."""
    there = torch.tensor([[place >= LENGTH - count for place in range(LENGTH)] for count in COUNTS])
    return clear(torch.randn(len(COUNTS), LENGTH, DIM, generator=generator(2)), there), there


def with_biases(layer: nn.Module) -> nn.Module:
    """Some that are not zero."""
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if "bias" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator(3)))
    return layer


def convolved(dilation: int) -> Callable[[Any, Tensor], Tensor]:
    def by_torch(layer: Any, state_TK: Tensor) -> Tensor:
        width = len(layer.weight) // DIM
        kernel = layer.weight.reshape(width, DIM, DIM).permute(2, 1, 0)
        padding = dilation * (width // 2)
        found = functional.conv1d(state_TK.T[None], kernel, layer.bias, padding=padding, dilation=dilation)
        return found[0].T

    return by_torch


def recurred(layer: Any, state_TK: Tensor) -> Tensor:
    forward, backward = (
        cell(some[None])[0][0] for cell, some in zip(layer.cells, (state_TK, state_TK.flip(0)), strict=True)
    )
    return torch.cat([forward, backward.flip(0)], dim=1)


def attended(layer: Any, state_TK: Tensor) -> Tensor:
    heads = layer._num_heads
    own = nn.MultiheadAttention(DIM, heads, bias=False, batch_first=True)
    with torch.no_grad():
        own.in_proj_weight.copy_(layer.inputs.T)
        own.out_proj.weight.copy_(layer.outputs.T)
    found, _ = own(state_TK[None], state_TK[None], state_TK[None])
    return found[0]


def pooled(pool: Callable[..., Tensor], **settings: Any) -> Callable[[Any, Tensor], Tensor]:
    return lambda layer, state_TK: pool(state_TK.T[None], 3, 1, 1, **settings)[0].T


EXPECTED: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "conv1": convolved(1),
    "conv3": convolved(1),
    "dilated3": convolved(2),
    "dilated5": convolved(2),
    "dilated7": convolved(2),
    "average3": pooled(functional.avg_pool1d, count_include_pad=False),
    "max3": pooled(functional.max_pool1d),
    "gru": recurred,
    "attention2": attended,
    "attention4": attended,
    "zero": lambda layer, state_TK: torch.zeros_like(state_TK),
}


def test_attention_from_the_target_weighs_each_place_by_itself() -> None:
    layer: Any = with_biases(build_layer("target", DIM, generator=generator()))
    state_STK, there_ST = histories()
    target_SK = torch.randn(len(COUNTS), DIM, generator=generator(3))
    found = clear(layer(state_STK, there_ST, target_SK), there_ST)
    for row, count in enumerate(COUNTS):
        for place in range(state_STK.shape[1] - count, state_STK.shape[1]):
            h, e = state_STK[row, place], target_SK[row]
            both = torch.cat([h, e, h - e, h * e])
            unit = layer.weigh
            hidden = functional.prelu((both @ unit.inner + unit.inner_bias)[None], unit.slope)[0]
            weight = hidden @ unit.outer + unit.outer_bias
            assert torch.allclose(found[row, place], weight * h, atol=1e-6)


@pytest.mark.parametrize("name", LAYERS_WITHOUT_TARGET)
def test_layer_is_torchs_own_of_each_history_by_itself(name: LayerName) -> None:
    layer = with_biases(build_layer(name, DIM, generator=generator()))
    state_STK, there_ST = histories()
    found = clear(layer(state_STK, there_ST), there_ST)
    assert torch.isfinite(found).all()
    for row, count in enumerate(COUNTS):
        expected = EXPECTED[name](layer, state_STK[row, -count:])
        assert torch.allclose(found[row, -count:], expected, atol=1e-6), count


@LAYERS
def test_layer_is_drawn_from_its_generator(name: LayerName) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, same, other = (build_layer(name, DIM, generator=generator(seed)).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not one or any(not torch.equal(one[key], other[key]) for key in one)


def test_what_looks_back_alone_does_not_know_what_comes() -> None:
    state_STK, there_ST = histories()
    changed = clear(torch.cat([state_STK[:, :4], torch.ones(len(COUNTS), 3, DIM)], dim=1), there_ST)
    for layer in (
        Recurrence(DIM, both=False, generator=generator()),
        SelfAttention(DIM, 2, causal=True, generator=generator()),
    ):
        found, other = (clear(layer(some, there_ST), there_ST) for some in (state_STK, changed))
        assert torch.allclose(found[:, :4], other[:, :4], atol=1e-6)
        assert not torch.allclose(found[:, 4:], other[:, 4:], atol=1e-3)


def test_activations_are_those_of_the_paper() -> None:
    x = torch.linspace(-3, 3, 7)
    assert torch.equal(ACTIVATIONS["relu"](x), x.clamp(min=0))
    assert torch.allclose(ACTIVATIONS["swish"](x), x / (1 + (-x).exp()))
    assert torch.allclose(ACTIVATIONS["gelu"](x), x * (1 + torch.erf(x / 2**0.5)) / 2, atol=1e-6)
    assert torch.equal(ACTIVATIONS["identity"](x), x)


def model_of(config: AnySequenceModel) -> SequenceModel:
    pairs = [(user, (3 * place + user) % 9) for user in range(5) for place in range(user + 2)]
    data = make_data(5, 9, pairs, [(user, 8 - user) for user in range(5)])
    model = build_model(RankingTraining(model=config), data, seed=1)
    assert isinstance(model, SequenceModel)
    return model


@pytest.mark.parametrize("kind", SEQUENCE_MODELS, ids=lambda kind: kind.model_fields["kind"].default)
def test_histories_of_all_lengths_are_read_together_as_each_by_itself(kind: type[AnySequenceModel]) -> None:
    """And what stands before a history changes nothing."""
    model = with_biases(model_of(kind(dim=8, max_length=6)))
    assert isinstance(model, SequenceModel)
    histories = [[3], [3, 1], [4, 0, 2, 1, 5], [4, 0, 2], [7], [1, 2, 3, 4, 5, 6], [8, 3]]
    whole = torch.tensor([[NONE] * (6 - len(items)) + items for items in histories])
    users = torch.tensor([3, 1, 4, 1, 0, 2, 2])
    together = model.vectors(whole, users)
    for number, items in enumerate(histories):
        one = slice(number, number + 1)
        with_space = model.read(*model.embedded(whole[one]), users[one], None)
        without = model.read(*model.embedded(torch.tensor([items])), users[one], None)
        assert torch.allclose(with_space, without, atol=1e-6)
        assert torch.allclose(together[one], without, atol=1e-6)


def test_caser_looks_at_every_window_of_every_height() -> None:
    model: Any = with_biases(model_of(Caser(dim=4, max_length=5, num_horizontal=3, num_vertical=2)))
    items, user = torch.tensor([[NONE, 3, 1, 4, 8]]), torch.tensor([2])
    (picture,) = clear(model.items[items.clamp(min=0)], items != NONE)
    found = []
    for height, (weight, bias) in enumerate(
        zip(model.horizontal, model.horizontal_bias, strict=True), start=1
    ):
        windows = [picture[top : top + height].flatten() for top in range(5 - height + 1)]
        found.append(torch.stack([(window @ weight + bias).relu() for window in windows]).amax(dim=0))
    found += [model.vertical[:, number] @ picture for number in range(2)]
    expected = (torch.cat(found) @ model.connected + model.bias).relu() + model.users[2]
    assert torch.allclose(model.vectors(items, user)[0], expected, atol=1e-6)


@pytest.mark.parametrize("kind", SEQUENCE_MODELS, ids=lambda kind: kind.model_fields["kind"].default)
def test_valid_is_asked_after_train_and_test_after_both(kind: type[AnySequenceModel]) -> None:
    model = model_of(kind(dim=8, max_length=6))
    histories = [[(3 * place + user) % 9 for place in range(user + 2)] for user in range(5)]
    for tables, more in ((model.tables(), False), (model.published(), True)):
        for user, items in enumerate(histories):
            whole = [*items, 8 - user][-6:] if more else items[-6:]
            asked = torch.tensor([[NONE] * (6 - len(whole)) + whole])
            vector = model.vectors(asked, torch.tensor([user]))
            assert torch.allclose(tables.users[user], vector[0], atol=1e-6)
        assert torch.equal(tables.items, model.items)


@pytest.mark.parametrize("kind", SEQUENCE_MODELS, ids=lambda kind: kind.model_fields["kind"].default)
def test_dropout_is_drawn_from_its_generator(kind: type[AnySequenceModel]) -> None:
    model = model_of(kind(dim=8, max_length=6, dropout=0.5))
    items, users = torch.tensor([[1, 2, 3, 4, 5, 6]]), torch.tensor([0])
    one, same, other = (model.vectors(items, users, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(model.vectors(items, users), model.vectors(items, users))


def test_blocks_add_up_as_equation_3_says() -> None:
    blocks = (
        Block(norm="layer", layer="conv3", activation="swish"),
        Block(layer="zero"),
        Block(norm="none", layer="attention2", activation="identity"),
    )
    model: Any = model_of(Blocks(dim=8, max_length=6, blocks=blocks))
    items = torch.tensor([[NONE, NONE, NONE, 3, 1, 4]])
    there = items != NONE
    state = clear(model.items[items.clamp(min=0)], there)
    normed = clear(functional.layer_norm(state, (8,)), there)
    state = state + clear(functional.silu(model.blocks[0].layers["conv3"](normed, there)), there)
    state = state + clear(model.blocks[2].layers["attention2"](state, there), there)
    expected = torch.cat([state.sum(dim=1), state[:, -1]], dim=1) @ model.output
    assert torch.allclose(model.vectors(items, torch.tensor([0])), expected, atol=1e-6)
    assert list(model.blocks[1].layers.zero.parameters()) == []
