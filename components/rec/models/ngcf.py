"""NGCF (Wang et al. 2019)."""

from collections.abc import Callable
from functools import partial
from itertools import accumulate, pairwise
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, leaky_relu, normalize

from components.core.recipe.ranking import Ngcf
from components.rec.data import PairBatch, RankingData
from components.rec.models.base import (
    USER_AND_ITEM_ROWS,
    Encoded,
    HopEncoded,
    HopPairs,
    Pairs,
    PlainEncoded,
    PlainHopEncoded,
    RankingModel,
    Tables,
    normal_embedding,
    takes_kernels,
)
from components.rec.models.dropout import draw_seeds, drop, least_kept
from components.rec.models.hops import Places, SparseRows, Table
from components.rec.models.messages import Neighborhoods, activate, activate_back, mix_back
from components.rec.models.propagation import NormalizedGraph
from components.rec.products import inner_products
from components.rec.scores import pair_scores

_LEAKY_SLOPE = 0.2  # not in the paper; the official code's


@final
class NgcfModel(RankingModel):
    """E⁽ˡ⁾ = LeakyReLU((Â + I) E W₁ + (Â E ⊙ E) W₂), all layers concatenated (eq. 7 and 9).

    Departures: message dropout acts on a layer's output, as in the official code, and there are no
    biases, as in the paper and unlike that code.
    """

    rows = USER_AND_ITEM_ROWS

    def __init__(self, config: Ngcf, data: RankingData, *, generator: torch.Generator) -> None:
        super().__init__()
        self.users = normal_embedding(data.num_users, config.dim, config.init_std, generator)
        self.items = normal_embedding(data.num_items, config.dim, config.init_std, generator)
        dims = (config.dim, *config.layer_dims)
        self.neighbor_weights = nn.ParameterList(_xavier(*pair, generator) for pair in pairwise(dims))
        self.product_weights = nn.ParameterList(_xavier(*pair, generator) for pair in pairwise(dims))
        self._config = config
        self._graph = NormalizedGraph(data)

    def encode(self, batch: PairBatch | None = None, dropout: torch.Generator | None = None) -> Encoded:
        rate = 0.0 if dropout is None else self._config.message_dropout
        seeds = draw_seeds(len(self._config.layer_dims), dropout) if dropout is not None and rate else None
        weights = list(zip(self.neighbor_weights, self.product_weights, strict=True))
        if takes_kernels(self.users):
            layers = _Layers((self.users, self.items), weights, self._graph.neighborhoods, rate, seeds)
            return _Reached(layers, self._config)
        layer_ND = torch.cat([self.users, self.items])
        layers_ND = [layer_ND]
        for number, (neighbor_DE, product_DE) in enumerate(weights):
            spread_ND = self._graph.propagate(layer_ND)
            layer_ND = leaky_relu(
                (spread_ND + layer_ND) @ neighbor_DE + (spread_ND * layer_ND) @ product_DE, _LEAKY_SLOPE
            )
            if seeds is not None:
                layer_ND = drop(layer_ND, rate, seeds[number])
            layers_ND.append(layer_ND)
        users, items = torch.split(_joined(layers_ND, self._config), [len(self.users), len(self.items)])
        tables, dims = Tables(users, items), [layer.shape[1] for layer in layers_ND]
        return PlainHopEncoded(tables, Tables(self.users, self.items), partial(_hop_pairs, tables, dims))


def _joined(layers: list[Tensor], config: Ngcf) -> Tensor:
    """All layers side by side."""
    own, *others = layers
    return torch.cat([own, *map(normalize, others)] if config.normalize_layers else layers, dim=1)


def _hop_pairs(tables: Tables, dims: list[int], user_B: Tensor, item_BK: Tensor) -> HopPairs:
    """A hop has columns of its own, the ego embeddings the first."""
    user_BD, item_BKD = embedding(user_B, tables.users), embedding(item_BK, tables.items)
    product_BKD = user_BD[:, None] * item_BKD
    score_BKL = torch.stack([part.sum(dim=2) for part in torch.split(product_BKD, dims, dim=2)], dim=2)
    user_l2_B = user_BD[:, : dims[0]].square().sum(dim=1) / 2
    return HopPairs(score_BKL, user_l2_B, item_BKD[:, :, : dims[0]])


def _xavier(rows: int, columns: int, generator: torch.Generator) -> nn.Parameter:
    bound = (6 / (rows + columns)) ** 0.5
    return nn.Parameter((torch.rand(rows, columns, generator=generator) * 2 - 1) * bound)


@final
class _Reached(HopEncoded):
    """Rows that are asked for, each once; and of every layer only the nodes that they depend on.

    A batch's last layer needs the layer before of its nodes and their neighbours alone, and so on down.
    """

    def __init__(self, layers: "_Layers", config: Ngcf) -> None:
        self._layers, self._config = layers, config

    def pairs(self, user_B: Tensor, item_BK: Tensor) -> Pairs:
        tables, user_B, item_BK = self._rows(user_B, item_BK)
        ego = Tables(tables.users[:, : self._config.dim], tables.items[:, : self._config.dim])
        return PlainEncoded(tables, ego).pairs(user_B, item_BK)

    def hop_pairs(self, user_B: Tensor, item_BK: Tensor) -> HopPairs:
        tables, user_B, item_BK = self._rows(user_B, item_BK)
        return _hop_pairs(tables, self._layers.dims, user_B, item_BK)

    @torch.no_grad()
    def scores(self, user_B: Tensor, item_BK: Tensor) -> Tensor:
        tables, user_B, item_BK = self._rows(user_B, item_BK)
        return pair_scores(tables.users, tables.items, user_B, item_BK)

    @torch.no_grad()
    def users(self, user_B: Tensor) -> Tensor:
        tables, place_B, _ = self._rows(user_B, torch.empty(0, dtype=torch.int64))
        return tables.users[place_B]

    @torch.no_grad()
    def tables(self) -> Tables:
        users, items = self._layers.ego
        return self._rows(torch.arange(len(users)), torch.arange(len(items)))[0]

    def _rows(self, users: Tensor, items: Tensor) -> tuple[Tables, Tensor, Tensor]:
        """The rows asked for, without repetition, and where each one is among them."""
        user_R, user_place = np.unique(users.numpy(), return_inverse=True)
        item_R, item_place = np.unique(items.numpy(), return_inverse=True)
        nodes = np.concatenate([user_R, item_R + len(self._layers.ego[0])])
        apply: Callable[..., Tensor] = _LayersOf.apply
        rows = apply(nodes, self._layers, *self._layers.ego, *self._layers.weights)
        joined = _joined(list(torch.split(rows, self._layers.dims, dim=1)), self._config)
        tables = Tables(*torch.split(joined, [len(user_R), len(item_R)]))
        return (
            tables,
            torch.from_numpy(user_place).reshape(users.shape),
            torch.from_numpy(item_place).reshape(items.shape),
        )


@final
class _Layers:
    """The layers of one step, as far as they were asked for.

    Attributes:
        ego: the users' and items' own embeddings.
        weights: W₁ and W₂ of the first layer, then of the second, …
        dims: widths of the layers, the ego embeddings' first.
    """

    def __init__(
        self,
        ego: tuple[nn.Parameter, nn.Parameter],
        weights: list[tuple[nn.Parameter, nn.Parameter]],
        graph: Neighborhoods,
        rate: float,
        seeds: Tensor | None,
    ) -> None:
        self.ego = ego
        self.weights = [weight for pair in weights for weight in pair]
        self.dims = [ego[0].shape[1], *(pair[0].shape[1] for pair in weights)]
        self._graph = graph
        self._least, self._scale = least_kept(rate), 1 / (1 - rate)
        self._seeds = np.zeros((len(weights), 2), np.int32) if seeds is None else seeds.numpy()
        self._stacked = [torch.cat(pair).detach() for pair in weights]  # (2D, D')
        self._tables: list[Table] = [torch.cat(ego).detach().numpy()]
        self._tables += [np.empty((graph.num_nodes, dim), np.float32) for dim in self.dims[1:]]
        self._mixed: list[list[Tensor]] = [[] for _ in weights]  # a part for each time that nodes were absent
        self._slots = [np.full(graph.num_nodes, -1, np.int32) for _ in weights]  # a node's row in the parts
        self._known: list[tuple[Places, Places]] = []  # nodes, and those with their neighbours

    def of(self, nodes: Places) -> Tensor:
        """All layers of the nodes side by side."""
        self._reach(len(self._slots), nodes)
        return torch.from_numpy(np.concatenate([table[nodes] for table in self._tables], axis=1))

    def _reach(self, layer: int, nodes: Places) -> None:
        """Compute rows of a layer above the ego embeddings where they are not known yet."""
        below = layer - 1
        slots, parts = self._slots[below], self._mixed[below]
        absent = nodes[slots[nodes] < 0]
        if not len(absent):
            return
        if below:
            self._reach(below, self._around(absent))
        begin = sum(map(len, parts))
        slots[absent] = np.arange(begin, begin + len(absent), dtype=np.int32)
        mixed = torch.empty(len(absent), 2 * self.dims[below])
        parts.append(mixed)
        self._graph.mix(absent, self._tables[below], mixed.numpy())
        sums = inner_products(mixed, self._stacked[below].T.contiguous()).numpy()
        activate(
            absent, sums, _LEAKY_SLOPE, self._least, self._scale, self._seeds[below], self._tables[layer]
        )

    def back(self, nodes: Places, gradient: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """From the gradient of `of(nodes)` to those of `ego` and `weights`.

        A layer's gradient stands at the nodes given and those that they reach in the layers above.
        """
        given = SparseRows.of(nodes, gradient.numpy(), self._graph.num_nodes)
        columns = list(accumulate(self.dims, initial=0))
        current, back = nodes, gradient[:, columns[-2] :].contiguous()
        of_weights: list[Tensor] = []
        for below in reversed(range(len(self._slots))):
            activate_back(current, self._tables[below + 1], _LEAKY_SLOPE, self._scale, back.numpy())
            mixed = self._mixed_of(below, current)
            of_weights = [*torch.split(mixed.T @ back, self.dims[below]), *of_weights]
            own = inner_products(back, self._stacked[below]).numpy()
            values = np.empty((len(current), self.dims[below]), np.float32)
            mix_back(current, self._tables[below], mixed.numpy(), own, values)
            spread = SparseRows.of(current, values, self._graph.num_nodes)
            current = self._around(current) if below else np.arange(self._graph.num_nodes)
            back = torch.empty(len(current), self.dims[below])
            self._graph.pull(current, spread, own, given, columns[below], back.numpy())
        return list(torch.split(back, [len(table) for table in self.ego])), of_weights

    def _around(self, nodes: Places) -> Places:
        """The nodes and their neighbours, known already when going back the way that was come."""
        for known, around in self._known:
            if np.array_equal(known, nodes):
                return around
        around = self._graph.around(nodes)
        self._known.append((nodes, around))
        return around

    def _mixed_of(self, layer: int, nodes: Places) -> Tensor:
        slots, parts = torch.from_numpy(self._slots[layer][nodes]), self._mixed[layer]
        if len(parts) == 1 and len(parts[0]) == len(nodes):  # both ascend
            return parts[0]
        mixed, begin = torch.empty(len(nodes), 2 * self.dims[layer]), 0
        for part in parts:
            inside = (slots >= begin) & (slots < begin + len(part))
            mixed[inside] = part[slots[inside] - begin]
            begin += len(part)
        return mixed


class _LayersOf(torch.autograd.Function):
    """All layers of some nodes, (R, ΣD)."""

    @staticmethod
    def forward(context: Any, nodes: Places, layers: _Layers, *parameters: Tensor) -> Tensor:
        context.nodes, context.layers = nodes, layers
        return layers.of(nodes)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Any, ...]:
        of_ego, of_weights = context.layers.back(context.nodes, gradient.contiguous())
        return None, None, *of_ego, *of_weights
