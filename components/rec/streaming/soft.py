"""Soft selection: embeddings of all sizes at once, weighted (ESAPN §3.3: the baselines DARTS and AutoEmb)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor, nn

from components.rec.optimizers.dense import DenseAdam
from components.rec.streaming.embeddings import Embeddings, split
from components.rec.streaming.history import History
from components.rec.streaming.learner import StreamLearner
from components.rec.streaming.model import SIDES, Side, StreamBatch, StreamModel, losses
from components.rec.streaming.sized_table import Rows, SizedTable
from components.rec.streaming.unify import Unify
from components.rec.streaming.weighers import Weigher
from components.rec.weights import prefixed, without_prefix

_PART: Final = 4096  # ids whose vectors are made at once


@final
@dataclass(frozen=True)
class SoftRows:
    """The embeddings of a batch, each id once.

    Attributes:
        candidates: of each size; all are of the same ids in the same order.
        frequency_R: how often each id has been seen.
        logit_RK: of the weights; a leaf, behind which nobody learns by itself.
    """

    candidates: Sequence[Rows]
    frequency_R: Tensor
    logit_RK: Tensor

    @property
    def id_R(self) -> Tensor:
        """Whose they are."""
        return self.candidates[0].id_R


@final
class SoftEmbeddings(Embeddings):
    """ē = Σ_k α_k tanh(norm(W_k e_k + b_k)): an embedding of each of K sizes for each id, weighted by what a
    weigher says, α = softmax.

    Each size has a `Unify` of its own, which maps it straight to the largest, the largest too (AutoEmb, Zhao
    et al. 2020). So norms go by running statistics and maps begin as rotations, as they do for ESAPN.

    A departure: the sum is not divided by K, as AutoEmb's is (the survey's eq. 20); weights sum to 1.

    Args:
        sizes: D, which ascend.
        std: standard deviation of an embedding's first values.
        weigher: of these K sizes.
        generator: (CPU) draws all first values, also those of ids that come later.

    Attributes:
        weigher: as given.
    """

    def __init__(
        self, sizes: Sequence[int], std: float, weigher: Weigher, *, generator: torch.Generator
    ) -> None:
        super().__init__(sizes[-1], num_losses=0)
        self.weigher = weigher
        self._tables = {size: SizedTable((size,), std, generator=split(generator)) for size in sizes}
        self.unify = nn.ModuleList(Unify((size, self.width), generator=generator) for size in sizes)

    def __len__(self) -> int:
        return len(self._tables[self.width])

    def _extend(self, num_ids: int) -> None:
        self.weigher.extend(num_ids)
        for table in self._tables.values():
            table.extend(num_ids)

    def rows(self, id_B: Tensor) -> SoftRows:
        candidates = [table.rows(id_B) for table in self._tables.values()]
        id_R = candidates[0].id_R
        frequency_R = self.seen.frequency(id_R)
        logit_RK = self.weigher.logits(id_R, frequency_R).detach().requires_grad_()
        return SoftRows(candidates, frequency_R, logit_RK)

    def forward(self, rows: SoftRows, *, remember: bool = False) -> Tensor:
        values = [candidate.values[0] for candidate in rows.candidates]
        return self._weighted(values, rows.logit_RK, remember=remember)[rows.candidates[0].place_B]

    def _weighted(self, values: Sequence[Tensor], logit_RK: Tensor, *, remember: bool) -> Tensor:
        """(R, width)."""
        none_0W = torch.empty(0, self.width)  # of the size that all are mapped to
        unified_KRW = torch.stack(
            [
                unify([value_RD, none_0W], remember=remember)
                for unify, value_RD in zip(self.unify, values, strict=True)
            ]
        )
        return torch.einsum("rk,krw->rw", logit_RK.softmax(dim=1), unified_KRW)

    def step(self, rows: SoftRows, learning_rate: float) -> None:
        for table, candidate in zip(self._tables.values(), rows.candidates, strict=True):
            table.step(candidate, learning_rate)

    def size_of(self, id_B: Tensor) -> Tensor:
        """(B,) int64: the sum of all sizes, 222 in the paper (§3.7)."""
        return torch.full_like(id_B, sum(self._tables))

    def counts(self) -> dict[int, int]:
        return {size: len(table) for size, table in self._tables.items()}

    def bytes(self) -> dict[int, int]:
        return {size: table.bytes()[0] for size, table in self._tables.items()}

    @torch.no_grad()
    def served(self) -> tuple[Tensor, Tensor]:
        """Vectors: what they are made of is larger."""
        parts = torch.split(torch.arange(len(self)), _PART)
        vector_NW = torch.cat([self(self.rows(id_R)) for id_R in parts])
        return torch.full((len(self),), self.width), vector_NW.reshape(-1)

    def affine(self) -> dict[int, tuple[Tensor, Tensor]]:
        return {}

    @torch.no_grad()
    def unknown(self) -> Tensor:
        values = [torch.zeros(1, size) for size in self._tables]
        return self._weighted(values, self.weigher.unknown(), remember=False).squeeze(0)

    def _table_state(self) -> dict[str, Tensor]:
        state = prefixed("weigher", self.weigher.state())
        for size, table in self._tables.items():
            state |= prefixed(str(size), table.state())
        return state

    def _load_table(self, state: Mapping[str, Tensor]) -> None:
        self.weigher.load_state(without_prefix("weigher", state))
        for size, table in self._tables.items():
            table.load_state(without_prefix(str(size), state))


@final
class SoftLearner(StreamLearner):
    """For each batch of the stream the weighers learn from a batch of its past, then the model learns from
    the batch itself: the bilevel optimisation of DARTS and AutoEmb, of the first order (ξ = 0, the survey's
    eq. 15).

    Args:
        model: with `SoftEmbeddings`.
        history: the past of the stream.
        learning_rate, weights_learning_rate: Adam's, of the model and of the weighers.
        generator: (CPU) draws history batches.
    """

    def __init__(
        self,
        model: StreamModel,
        history: History,
        *,
        learning_rate: float,
        weights_learning_rate: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__(model, learning_rate)
        self._history, self._generator = history, generator
        self._weights_learning_rate = weights_learning_rate
        self._weights_optimizers = {
            side: DenseAdam(parameters, weights_learning_rate)
            for side in SIDES
            if (parameters := self._embeddings(side).weigher.parameters())
        }

    def _embeddings(self, side: Side) -> SoftEmbeddings:
        embeddings = self.model.side(side)
        assert isinstance(embeddings, SoftEmbeddings)
        return embeddings

    def adjust(self, batch: StreamBatch) -> None:
        past = self._history.sample(len(batch), self._generator)
        if past is not None:
            self._learn_weights(past)

    def remember(self, batch: StreamBatch) -> None:
        self._history.enter(batch)

    def _learn_weights(self, past: StreamBatch) -> None:
        """One step along the loss of the past, with the model as it is."""
        rows: dict[Side, SoftRows] = self.model.rows(past)
        loss = losses(self.model(rows), past.label_B).mean()
        gradients = torch.autograd.grad(loss, [rows[side].logit_RK for side in SIDES])
        for optimizer in self._weights_optimizers.values():
            optimizer.zero_grad()
        for side, gradient_RK in zip(SIDES, gradients, strict=True):
            weigher, of = self._embeddings(side).weigher, rows[side]
            weigher.learn(of.id_R, of.frequency_R, gradient_RK, self._weights_learning_rate)
        for optimizer in self._weights_optimizers.values():
            optimizer.step()

    def policies(self) -> dict[str, Tensor]:
        """The weights of both controllers; logits of ids mean nothing to other ids."""
        found: dict[str, Tensor] = {}
        for side in self._weights_optimizers:
            found |= prefixed(side, self._embeddings(side).weigher.state())
        return found

    def adopt(self, policies: Mapping[str, Tensor], sizes: Mapping[Side, Tensor]) -> None:
        for side in self._weights_optimizers:
            self._embeddings(side).weigher.load_state(without_prefix(side, policies))

    def state(self) -> dict[str, Tensor]:
        state = {**super().state(), "generator": self._generator.get_state()}
        state |= prefixed("history", self._history.state())
        for side, optimizer in self._weights_optimizers.items():
            state |= prefixed(f"weights_optimizer.{side}", optimizer.state())
        return state

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        super().load_state(state)
        self._generator.set_state(state["generator"].cpu())
        self._history.load_state(without_prefix("history", state))
        for side, optimizer in self._weights_optimizers.items():
            optimizer.load_state(without_prefix(f"weights_optimizer.{side}", state))
