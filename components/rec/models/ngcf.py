"""NGCF (Wang et al. 2019)."""

from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, normalize

from components.core.recipe.training import Ngcf
from components.rec.data import RankingData
from components.rec.models.base import (
    USER_AND_ITEM_ROWS,
    Encoded,
    PlainEncoded,
    RankingModel,
    Tables,
    normal_embedding,
)
from components.rec.models.propagation import NormalizedGraph

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

    def encode(self, dropout: torch.Generator | None = None) -> Encoded:
        layer_ND = torch.cat([self.users, self.items])
        layers = [layer_ND]
        for neighbor_DE, product_DE in zip(self.neighbor_weights, self.product_weights, strict=True):
            spread_ND = self._graph.propagate(layer_ND)
            layer_ND = leaky_relu(
                (spread_ND + layer_ND) @ neighbor_DE + (spread_ND * layer_ND) @ product_DE, _LEAKY_SLOPE
            )
            if dropout is not None:
                layer_ND = _drop(layer_ND, self._config.message_dropout, dropout)
            layers.append(normalize(layer_ND) if self._config.normalize_layers else layer_ND)
        users, items = torch.split(torch.cat(layers, dim=1), [len(self.users), len(self.items)])
        return PlainEncoded(Tables(users, items), Tables(self.users, self.items))


def _xavier(rows: int, columns: int, generator: torch.Generator) -> nn.Parameter:
    bound = (6 / (rows + columns)) ** 0.5
    return nn.Parameter((torch.rand(rows, columns, generator=generator) * 2 - 1) * bound)


def _drop(table: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    if rate == 0:
        return table
    keep = torch.empty_like(table).bernoulli_(1 - rate, generator=generator)
    return table * keep / (1 - rate)
