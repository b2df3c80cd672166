"""LightGCN (He et al. 2020)."""

from collections.abc import Callable
from functools import cached_property
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding

from components.core.recipe.ranking import LightGcn
from components.rec.data import PairBatch, RankingData
from components.rec.models.base import (
    USER_AND_ITEM_ROWS,
    Encoded,
    HopEncoded,
    HopPairs,
    Pairs,
    PlainHopEncoded,
    RankingModel,
    Tables,
    normal_embedding,
    takes_kernels,
)
from components.rec.models.hops import SparseRows, missing
from components.rec.models.propagation import NormalizedGraph
from components.rec.scores import RowGradient, half_squares, item_gradient, pair_scores, user_gradient


@final
class LightGcnModel(RankingModel):
    """The mean of 0 … L hops over the normalised graph (eq. 3 and 4, with 1 / (L + 1) for each layer)."""

    rows = USER_AND_ITEM_ROWS

    def __init__(self, config: LightGcn, data: RankingData, *, generator: torch.Generator) -> None:
        super().__init__()
        self.users = normal_embedding(data.num_users, config.dim, config.init_std, generator)
        self.items = normal_embedding(data.num_items, config.dim, config.init_std, generator)
        self._num_layers = config.num_layers
        self._graph = NormalizedGraph(data)

    def encode(self, batch: PairBatch | None = None, dropout: torch.Generator | None = None) -> Encoded:
        ego = Tables(self.users, self.items)
        if takes_kernels(self.users):
            return _LastHop(ego, self._graph, self._num_layers)
        ego_ND = torch.cat([self.users, self.items])
        sum_ND = ego_ND
        for _ in range(self._num_layers):  # Horner: E + Â(E + Â(E + …)), one live table instead of L
            sum_ND = ego_ND + self._graph.propagate(sum_ND)
        mean_ND = sum_ND / (self._num_layers + 1)
        tables = Tables(*torch.split(mean_ND, [len(self.users), len(self.items)]))
        return PlainHopEncoded(tables, ego, _Hops(ego, self._graph, self._num_layers).pairs)


@final
class _Hops:
    """Every hop for everyone, made when it is first asked for."""

    def __init__(self, ego: Tables, graph: NormalizedGraph, num_layers: int) -> None:
        self._ego, self._graph, self._num_layers = ego, graph, num_layers

    def pairs(self, user_B: Tensor, item_BK: Tensor) -> HopPairs:
        num_users, scale = len(self._ego.users), 1 / (self._num_layers + 1)
        user_BD1 = (torch.stack([embedding(user_B, layer) for layer in self._layers]).mean(dim=0))[:, :, None]
        nodes = item_BK + num_users
        score_BKL = torch.cat([embedding(nodes, layer) @ user_BD1 for layer in self._layers], dim=2) * scale
        user_l2_B = embedding(user_B, self._ego.users).square().sum(dim=-1) / 2
        return HopPairs(score_BKL, user_l2_B, embedding(item_BK, self._ego.items))

    @cached_property
    def _layers(self) -> list[Tensor]:
        """(U + I, D) after 0 … L hops."""
        with torch.enable_grad():  # also where a sampler is the first to look
            layers = [torch.cat([self._ego.users, self._ego.items])]
            for _ in range(self._num_layers):
                layers.append(self._graph.propagate(layers[-1]))
        return layers


@final
class _LastHop(HopEncoded):
    """All hops but the last for everyone, the last for the rows that are asked for: not an approximation.

    With S₀ = E and Sₗ₊₁ = E + Â Sₗ, the encoded rows are S_L / (L + 1).
    """

    def __init__(self, ego: Tables, graph: NormalizedGraph, num_layers: int) -> None:
        self._ego, self._graph, self._num_layers = ego, graph, num_layers
        self._own = (ego.users.detach(), ego.items.detach())
        self._before_last = self._own
        for _ in range(num_layers - 1):
            users, items = self._before_last
            self._before_last = (
                graph.halves[0].hop(items, self._own[0]),
                graph.halves[1].hop(users, self._own[1]),
            )
        self._hops = _Hops(ego, graph, num_layers)
        self._final = tuple(torch.empty_like(table) for table in self._own)
        self._present = tuple(np.zeros(len(table), np.bool_) for table in self._own)

    def pairs(self, user_B: Tensor, item_BK: Tensor) -> Pairs:
        final = self._encoded(user_B, item_BK)
        apply: Callable[..., tuple[Tensor, Tensor, Tensor]] = _PropagatedPairs.apply
        given = (self._ego.users, self._ego.items, user_B, item_BK)
        return Pairs(*apply(*given, final, self._graph, self._num_layers))

    def hop_pairs(self, user_B: Tensor, item_BK: Tensor) -> HopPairs:
        return self._hops.pairs(user_B, item_BK)

    @torch.no_grad()
    def scores(self, user_B: Tensor, item_BK: Tensor) -> Tensor:
        final = self._encoded(user_B, item_BK)
        return pair_scores(final.users, final.items, user_B, item_BK)

    @torch.no_grad()
    def users(self, user_B: Tensor) -> Tensor:
        return embedding(user_B, self._encoded(user_B, torch.empty(0, dtype=torch.int64)).users)

    def tables(self) -> Tables:
        return self._encoded(torch.arange(len(self._own[0])), torch.arange(len(self._own[1])))

    def _encoded(self, users: Tensor, items: Tensor) -> Tables:
        """The tables, of which the rows asked for stand as they should."""
        scale = 1 / (self._num_layers + 1)
        for side, rows in enumerate((users, items)):
            half, source = self._graph.halves[side], self._before_last[1 - side]
            absent = missing(rows.numpy().reshape(-1), self._present[side])
            half.hop_rows(absent, source, self._own[side], scale, self._final[side])
        return Tables(*self._final)


class _PropagatedPairs(torch.autograd.Function):
    """Scores and half squares; the gradient goes back over the hops as it came, since Â is symmetric."""

    @staticmethod
    def forward(
        context: Any,
        users: Tensor,
        items: Tensor,
        user_B: Tensor,
        item_BK: Tensor,
        final: Tables,
        graph: NormalizedGraph,
        num_layers: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        context.save_for_backward(users, items, user_B, item_BK, final.users, final.items)
        context.graph, context.num_layers = graph, num_layers
        score_BK = pair_scores(final.users, final.items, user_B, item_BK)
        return score_BK, half_squares(users.detach(), user_B), half_squares(items.detach(), item_BK)

    @staticmethod
    def backward(context: Any, score_BK: Tensor, user_l2_B: Tensor, item_l2_BK: Tensor) -> tuple[Any, ...]:
        users, items, user_B, item_BK, final_users, final_items = context.saved_tensors
        of_rows = (
            user_gradient(final_items, user_B, item_BK, score_BK, user_l2_B),
            item_gradient(final_users, user_B, item_BK, score_BK, item_l2_BK),
        )
        ego = (users.detach(), items.detach())
        gradients = _back(of_rows, ego, context.graph, context.num_layers)
        return (*gradients, None, None, None, None, None)


def _back(
    of_rows: tuple[RowGradient, RowGradient],
    ego: tuple[Tensor, Tensor],
    graph: NormalizedGraph,
    num_layers: int,
) -> list[Tensor]:
    """(G + Â(G + Â(G + …))) / (L + 1) for a G with few rows, and the ego embeddings' own part."""
    given = [
        SparseRows.of(gradient.rows, gradient.score / np.float32(num_layers + 1), len(table))
        for gradient, table in zip(of_rows, ego, strict=True)
    ]
    users, items = graph.halves
    back = [
        users.pull_sparse(given[1], given[0], other=items),
        items.pull_sparse(given[0], given[1], other=users),
    ]
    for _ in range(num_layers - 1):
        back = [users.pull(back[1], given[0]), items.pull(back[0], given[1])]
    for gradient, own, total in zip(of_rows, ego, back, strict=True):
        rows = torch.from_numpy(gradient.rows)
        total[rows] += torch.from_numpy(gradient.l2)[:, None] * own[rows]
    return back
