"""Transformers over histories: SASRec (Kang & McAuley 2018) and BERT4Rec (Sun et al. 2019)."""

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from components.core.recipe.sequences import Bert4Rec, SasRec
from components.rec.data import RankingData
from components.rec.drawing import uniform, xavier
from components.rec.mlp import drop
from components.rec.sequences.layers import SelfAttention, clear
from components.rec.sequences.model import SequenceModel

_SPREAD = 0.05  # of initial embeddings of places


@final
class SasRecModel(SequenceModel):
    """Self-attention that looks back alone, normalised before each part; the last state. Departure: trained
    on the items after a place of the history, not on the next item after each."""

    def __init__(self, config: SasRec, data: RankingData, *, generator: torch.Generator) -> None:
        super().__init__(config, data, generator=generator)
        dim = config.dim
        self._rate = config.dropout
        self.places = nn.Parameter(uniform((config.max_length, dim), _SPREAD, generator))
        self.attentions = nn.ModuleList(
            SelfAttention(dim, config.num_heads, causal=True, generator=generator)
            for _ in range(config.num_blocks)
        )
        self.feeds = nn.ModuleList(
            _Feed(dim, dim, torch.relu, generator=generator) for _ in range(config.num_blocks)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2 * config.num_blocks + 1))

    def read(
        self, embedded_STK: Tensor, there_ST: Tensor, user_S: Tensor, dropout: torch.Generator | None
    ) -> Tensor:
        state_STK = clear(embedded_STK + self.places[-embedded_STK.shape[1] :], there_ST)
        for number, (attention, feed) in enumerate(zip(self.attentions, self.feeds, strict=True)):
            asking = clear(self.norms[2 * number](state_STK), there_ST)
            assert isinstance(attention, SelfAttention)
            found = attention.attend(asking, state_STK, there_ST)
            state_STK = asking + drop(found, self._rate, dropout)
            normed = self.norms[2 * number + 1](state_STK)
            state_STK = clear(normed + drop(feed(normed), self._rate, dropout), there_ST)
        last: Tensor = self.norms[-1](state_STK[:, -1])
        return last


@final
class Bert4RecModel(SequenceModel):
    """Self-attention that looks both ways; a mask stands for the item that is asked for, and its state
    answers. Departure: the mask stands at the end alone, where it stands when the model is asked, as in
    AMER's comparison; the authors hide items all over the history in training."""

    def __init__(self, config: Bert4Rec, data: RankingData, *, generator: torch.Generator) -> None:
        super().__init__(config, data, generator=generator)
        dim = config.dim
        self._rate = config.dropout
        self.mask = nn.Parameter(uniform((dim,), _SPREAD, generator))
        self.places = nn.Parameter(uniform((config.max_length + 1, dim), _SPREAD, generator))
        self.attentions = nn.ModuleList(
            SelfAttention(dim, config.num_heads, causal=False, generator=generator)
            for _ in range(config.num_blocks)
        )
        self.feeds = nn.ModuleList(
            _Feed(dim, 4 * dim, gelu, generator=generator) for _ in range(config.num_blocks)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2 * config.num_blocks))
        self.output = nn.Parameter(xavier(dim, dim, generator))

    def read(
        self, embedded_STK: Tensor, there_ST: Tensor, user_S: Tensor, dropout: torch.Generator | None
    ) -> Tensor:
        size, length, _ = embedded_STK.shape
        state_STK = torch.cat([embedded_STK, self.mask.expand(size, 1, -1)], dim=1)
        there_ST = torch.cat([there_ST, there_ST.new_ones(size, 1)], dim=1)
        state_STK = clear(state_STK + self.places[-length - 1 :], there_ST)
        for number, (attention, feed) in enumerate(zip(self.attentions, self.feeds, strict=True)):
            found = drop(attention(state_STK, there_ST), self._rate, dropout)
            state_STK = clear(self.norms[2 * number](state_STK + found), there_ST)
            fed = drop(feed(state_STK), self._rate, dropout)
            state_STK = clear(self.norms[2 * number + 1](state_STK + fed), there_ST)
        return gelu(state_STK[:, -1] @ self.output)


@final
class _Feed(nn.Module):
    """Two layers for each place by itself."""

    def __init__(
        self, dim: int, hidden: int, activation: Callable[[Tensor], Tensor], *, generator: torch.Generator
    ) -> None:
        super().__init__()
        self._activation = activation
        self.inner = nn.Parameter(xavier(dim, hidden, generator))
        self.inner_bias = nn.Parameter(torch.zeros(hidden))
        self.outer = nn.Parameter(xavier(hidden, dim, generator))
        self.outer_bias = nn.Parameter(torch.zeros(dim))

    def forward(self, state_STK: Tensor) -> Tensor:
        hidden: Tensor = self._activation(state_STK @ self.inner + self.inner_bias)
        return hidden @ self.outer + self.outer_bias
