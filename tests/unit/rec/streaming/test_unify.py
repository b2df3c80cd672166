"""Embeddings of many sizes as vectors of one."""

import pytest
import torch
from torch import nn

from components.rec.streaming.unify import Unify

SIZES = (2, 3, 5)


def build() -> Unify:
    return Unify(SIZES, generator=torch.Generator().manual_seed(1))


def test_each_embedding_goes_through_the_maps_that_are_left() -> None:
    unify = build()
    unify.num_K.fill_(100)
    unify.mean_KW.copy_(torch.arange(15).reshape(3, 5) / 10)
    unify.variance_KW.copy_(torch.arange(15).reshape(3, 5) / 5 + 1)
    generator = torch.Generator().manual_seed(2)
    values = [
        torch.randn(count, size, generator=generator) for count, size in zip((2, 1, 3), SIZES, strict=True)
    ]
    expected = []
    for place, rows in enumerate(values):
        for row in rows:
            vector = row
            for layer in unify.maps[place:]:
                vector = layer.weight @ vector
            normal = (vector - unify.mean_KW[place]) / torch.sqrt(unify.variance_KW[place] + 1e-5)
            expected.append(torch.tanh(normal * unify.scale_W + unify.shift_W))
    assert torch.allclose(unify(values), torch.stack(expected), atol=1e-6)


def test_statistics_are_pooled_by_size() -> None:
    unify, generator = build(), torch.Generator().manual_seed(2)
    none = [torch.zeros(0, size) for size in SIZES]
    batches = [torch.randn(count, 2, generator=generator) * 2 + 1 for count in (5, 1, 30)]
    for batch in batches:
        unify([batch, none[1], none[2]], remember=True)
    mapped = unify.maps[1](unify.maps[0](torch.cat(batches)))
    variance, mean = torch.var_mean(mapped, dim=0, correction=0)
    assert torch.allclose(unify.mean_KW[0], mean, atol=1e-5)
    assert torch.allclose(unify.variance_KW[0], variance, atol=1e-4)
    assert unify.num_K.tolist() == [36, 0, 0]
    before = unify.mean_KW.clone()
    unify([batches[0], none[1], none[2]])
    assert torch.equal(unify.mean_KW, before)


def test_a_size_that_nobody_had_is_seen_as_the_one_below() -> None:
    unify, generator = build(), torch.Generator().manual_seed(2)
    none = [torch.zeros(0, size) for size in SIZES]
    rows = torch.randn(40, 2, generator=generator) * 0.01
    unify([rows, none[1], none[2]], remember=True)
    grown = unify.maps[0](rows)
    seen = unify([rows, none[1], none[2]])
    assert torch.allclose(unify([none[0], grown, none[2]]), seen, atol=1e-5)
    assert torch.allclose(unify([none[0], none[1], unify.maps[1](grown)]), seen, atol=1e-5)
    unify([none[0], grown[:1], none[2]], remember=True)  # one row does not make a deviation
    assert (unify([none[0], grown, none[2]]) - seen).abs().max() < 0.15


def test_maps_begin_as_rotations() -> None:
    for layer in build().maps:
        gram = layer.weight.T @ layer.weight
        assert torch.allclose(gram, torch.eye(len(gram)), atol=1e-5)
        assert layer.bias is None


def test_growing_changes_what_is_predicted_by_the_norm_alone() -> None:
    """W e goes the rest of the same way."""
    unify = build()
    rows = torch.randn(4, 2, generator=torch.Generator().manual_seed(2))
    none = [torch.zeros(0, size) for size in SIZES]
    small, grown = [rows, none[1], none[2]], [none[0], unify.maps[0](rows), none[2]]
    assert torch.allclose(unify(small), unify(grown), atol=1e-6)
    unify.num_K.fill_(100)
    unify.variance_KW[1] *= 4
    assert not torch.allclose(unify(small), unify(grown), atol=1e-2)


def test_maps_keep_their_length() -> None:
    unify, generator = build(), torch.Generator().manual_seed(2)
    for parameter in unify.maps.parameters():
        nn.init.normal_(parameter, std=7, generator=generator)
    assert [float(layer.weight.norm()) for layer in unify.maps] == pytest.approx([2**0.5, 3**0.5])


@pytest.mark.parametrize("counts", [(3, 1, 2), (30, 5, 1), (1, 0, 40)])
def test_nothing_drifts_that_the_norm_takes_away(counts: tuple[int, int, int]) -> None:
    """Vectors that are all pulled one way, and outwards, come no further: with shifts, and lengths of their
    own, maps went as far as the steps carried them."""
    unify, generator = build(), torch.Generator().manual_seed(2)
    optimizer = torch.optim.Adam(unify.maps.parameters(), lr=0.01)
    rows = [torch.randn(n, size, generator=generator) for n, size in zip(counts, SIZES, strict=True)]
    before = unify.mean_KW.abs().max()
    for _ in range(3000):
        optimizer.zero_grad()
        noise = torch.randn(sum(counts), 5, generator=generator)
        made = unify(rows, remember=True)
        (-(made * (1 + 0.1 * noise)).sum() - made.square().sum()).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    longest = max(float(some.norm(dim=1).max()) for some in rows if len(some))
    assert unify.mean_KW.norm(dim=1).max() <= 2.5 * longest + before
    assert unify.variance_KW.sum(dim=1).max() <= (2.5 * longest) ** 2
