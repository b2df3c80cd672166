"""Models against dense matrices."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

from components.core.recipe.ranking import LightGcn, Ngcf, RankingTraining
from components.rec.data import RankingData
from components.rec.models.propagation import NormalizedGraph
from components.rec.objective import build_model


def dense_graph(data: RankingData) -> Tensor:
    """D^-½ A D^-½, written down entry by entry."""
    num_nodes = data.num_users + data.num_items
    adjacency = torch.zeros(num_nodes, num_nodes, dtype=torch.float64)
    for user, item in zip(data.user.tolist(), data.item.tolist(), strict=True):
        adjacency[user, data.num_users + item] = adjacency[data.num_users + item, user] = 1
    degree = adjacency.sum(dim=1)
    for row in range(num_nodes):
        for column in range(num_nodes):
            if adjacency[row, column]:
                adjacency[row, column] /= (degree[row] * degree[column]).sqrt()
    return adjacency


def test_propagation_and_its_gradient(clustered: RankingData) -> None:
    graph, dense = NormalizedGraph(clustered), dense_graph(clustered)
    table = torch.randn(70, 5, generator=torch.Generator().manual_seed(1), requires_grad=True)
    weight = torch.randn(70, 5, generator=torch.Generator().manual_seed(2))
    (graph.propagate(table) * weight).sum().backward()
    assert torch.allclose(graph.propagate(table).double(), dense @ table.double(), atol=1e-6)
    assert table.grad is not None
    assert torch.allclose(table.grad.double(), dense.T @ weight.double(), atol=1e-6)


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_lightgcn_is_the_mean_of_its_layers(clustered: RankingData, num_layers: int) -> None:
    model = build_model(RankingTraining(model=LightGcn(dim=8, num_layers=num_layers)), clustered, seed=1)
    dense = dense_graph(clustered)
    layer = torch.cat([model.users, model.items]).double()
    layers = [layer]
    for _ in range(num_layers):
        layer = dense @ layer
        layers.append(layer)
    expected = torch.stack(layers).mean(dim=0)
    encoded = model.tables()
    assert torch.allclose(torch.cat([encoded.users, encoded.items]).double(), expected, atol=1e-6)


@pytest.mark.parametrize("normalize", [False, True])
def test_ngcf_equals_equation_7(clustered: RankingData, normalize: bool) -> None:
    config = Ngcf(dim=6, layer_dims=(5, 4), normalize_layers=normalize)
    model = build_model(RankingTraining(model=config), clustered, seed=1)
    dense = dense_graph(clustered)
    eye = torch.eye(len(dense), dtype=torch.float64)
    layer = torch.cat([model.users, model.items]).double()
    layers = [layer]
    for w1, w2 in zip(model.neighbor_weights, model.product_weights, strict=True):
        layer = leaky_relu((dense + eye) @ layer @ w1.double() + ((dense @ layer) * layer) @ w2.double(), 0.2)
        layers.append(layer / layer.norm(dim=1, keepdim=True).clamp(min=1e-12) if normalize else layer)
    encoded = model.tables()
    found = torch.cat([encoded.users, encoded.items]).double()
    assert found.shape == (70, 15)
    assert torch.allclose(found, torch.cat(layers, dim=1), atol=1e-5)


def test_ngcf_dropout_keeps_the_mean_and_needs_a_generator(clustered: RankingData) -> None:
    config = Ngcf(dim=6, layer_dims=(64,), message_dropout=0.5)
    model = build_model(RankingTraining(model=config), clustered, seed=1)
    plain = model.tables().items[:, 6:]
    dropped = torch.stack(
        [
            model.encode(dropout=torch.Generator().manual_seed(seed)).tables().items[:, 6:]
            for seed in range(400)
        ]
    )
    assert (dropped == 0).float().mean().item() == pytest.approx(0.5, abs=0.02)
    assert torch.allclose(dropped.mean(dim=0), plain, atol=float(plain.abs().max()) / 5)
    assert torch.equal(model.tables().items[:, 6:], plain)
