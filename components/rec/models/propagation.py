"""The symmetrically normalised user–item graph and its product with an embedding table."""

from functools import cached_property
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from components.rec.data import RankingData
from components.rec.models.base import takes_kernels
from components.rec.models.hops import Half
from components.rec.models.messages import Neighborhoods


@final
class NormalizedGraph(nn.Module):
    """Â = D^-½ A D^-½ over U + I nodes, where A links users with their train items (LightGCN eq. 7).

    Kept as CSR in buffers that are no part of the weights. Â is symmetric, so the gradient of a product
    with it is a product with it.
    """

    halves: tuple[Half, ...]  # of the users' rows and of the items', where kernels can be used
    offsets: Tensor  # (U + I + 1,)
    neighbors: Tensor  # (2n,)
    weights: Tensor  # (2n,)

    def __init__(self, data: RankingData) -> None:
        super().__init__()
        num_nodes = data.num_users + data.num_items
        item = data.item + data.num_users
        source, target = torch.cat([data.user, item]), torch.cat([item, data.user])
        order = torch.argsort(source * num_nodes + target)
        source, target = source[order], target[order]
        degree = torch.bincount(source, minlength=num_nodes)
        scale = degree.clamp(min=1).double().rsqrt()  # a node without neighbours takes part in no product
        offsets = torch.zeros(num_nodes + 1, dtype=torch.int64, device=source.device)
        torch.cumsum(degree, 0, out=offsets[1:])
        self.register_buffer("offsets", offsets, persistent=False)
        self.register_buffer("neighbors", target, persistent=False)
        self.register_buffer("weights", (scale[source] * scale[target]).float(), persistent=False)
        self.halves = _halves(self, data.num_users) if takes_kernels(data.user) else ()

    @cached_property
    def neighborhoods(self) -> Neighborhoods:
        """The same graph for kernels."""
        offsets, neighbors, weights = (t.numpy() for t in (self.offsets, self.neighbors, self.weights))
        return Neighborhoods(offsets, neighbors.astype(np.int32), weights)

    def propagate(self, table_ND: Tensor) -> Tensor:
        """Â · table, (U + I, D)."""
        product: Tensor = _SymmetricProduct.apply(  # type: ignore[no-untyped-call]  # torch
            table_ND, self.offsets, self.neighbors, self.weights
        )
        return product


def _halves(graph: NormalizedGraph, num_users: int) -> tuple[Half, Half]:
    offsets, neighbors, weights = graph.offsets.int(), graph.neighbors.int(), graph.weights
    edge = int(offsets[num_users])
    return (
        Half(offsets[: num_users + 1], neighbors[:edge] - num_users, weights[:edge]),
        Half(offsets[num_users:] - edge, neighbors[edge:], weights[edge:]),
    )


class _SymmetricProduct(torch.autograd.Function):
    """embedding_bag over CSR: twice as fast on a CPU as torch's own sparse product, and deterministic."""

    @staticmethod
    def forward(context: Any, table: Tensor, offsets: Tensor, neighbors: Tensor, weights: Tensor) -> Tensor:
        context.save_for_backward(offsets, neighbors, weights)
        return _product(table, offsets, neighbors, weights)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return _product(gradient.contiguous(), *context.saved_tensors), None, None, None


def _product(table: Tensor, offsets: Tensor, neighbors: Tensor, weights: Tensor) -> Tensor:
    return embedding_bag(
        neighbors, table, offsets, mode="sum", per_sample_weights=weights, include_last_offset=True
    )
