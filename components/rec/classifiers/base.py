"""A table of embeddings with a row for each value of each field, and the network over it."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol, final

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, embedding_bag, logsigmoid

from components.core.recipe.classification import Classifier, ClassifierConfig
from components.core.recipe.example_preparation import Pooling
from components.rec.fields import Bag, ExampleBatch, Examples, FieldData, Layout
from components.rec.models.base import takes_kernels
from components.rec.optimizers.base import Optimizer
from components.rec.optimizers.deferred import DeferredAdam
from components.rec.optimizers.dense import DenseAdam
from components.rec.optimizers.together import Together
from components.rec.rows import RowModel, Side

VALUE_ROWS: Final[Mapping[str, Side]] = {"table": "value"}
_PREDICTED_AT_ONCE: Final = 4096  # examples: xDeepFM needs some 100 KB for each

logger = logging.getLogger(__name__)


@final
@dataclass(frozen=True)
class Shape:
    """What a network's own shape follows from.

    Attributes:
        names: of the fields.
        dim: length of an embedding.
    """

    names: tuple[str, ...]
    dim: int
    num_logits: int

    @property
    def num_fields(self) -> int:
        return len(self.names)

    @property
    def flat(self) -> int:
        """Width of all embeddings of an example, one after another."""
        return self.num_fields * self.dim

    def split(self, rows_BFW: Tensor) -> tuple[Tensor, Tensor]:
        """The embeddings (B, F, D), and the sum (B, L) of the linear weights."""
        return rows_BFW[:, :, : self.dim], rows_BFW[:, :, self.dim :].sum(dim=1)


class Network(nn.Module, ABC):
    """Everything after the lookup.

    Attributes:
        linear: whether a row ends with linear weights, one for each logit; they are added to the logits.
    """

    linear: ClassVar[bool]

    @abstractmethod
    def forward(self, rows_BFW: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        """(B, L) logits.

        Args:
            rows_BFW: one row for each field, W = D + L with linear weights, else D.
            dropout: randomness of dropout while training; None means no dropout.
        """


class ClassifierModel(RowModel):
    """A table and a network. Embeddings begin with N(0, init_std²), linear weights with 0. With kernels the
    table's gradients are sparse, and its Adam is deferred: a step costs the batch's rows alone.

    Attributes:
        network_type: what its network is.
        table: (R, W), a row for each code of each field, see `Layout`.
    """

    rows = VALUE_ROWS
    network_type: ClassVar[type[Network]]

    def __init__(self, config: Classifier, data: FieldData, *, generator: torch.Generator) -> None:
        super().__init__()
        self.layout = data.layout
        shape = Shape(tuple(field.name for field in self.layout.fields), config.dim, data.num_logits)
        width = shape.dim + (shape.num_logits if self.network_type.linear else 0)
        table_RW = torch.zeros(self.layout.num_rows, width)
        table_RW[:, : shape.dim].normal_(std=config.init_std, generator=generator)
        self.table = nn.Parameter(table_RW)
        self.network = self.network_type(config, shape, generator=generator)
        self._deferred: DeferredAdam | None = None

    def forward(self, batch: ExampleBatch, dropout: torch.Generator | None = None) -> Tensor:
        """(B, L) logits; see `Network`."""
        logit_BL: Tensor = self.network(self.look_up(batch), dropout)
        return logit_BL

    def group_R(self, name: str) -> Tensor:
        """(R,) the field of each of the table's rows."""
        sizes = torch.tensor([field.size for field in self.layout.fields])
        return torch.repeat_interleave(torch.arange(len(sizes)), sizes)

    def look_up(self, batch: ExampleBatch) -> Tensor:
        """(B, F, W) the network's input, with gradients that reach the table."""
        if self._deferred is None:
            return pooled(self.table, batch, self.layout)
        self._deferred.catch_up("table", batch.row_O)
        rows_of: Callable[[Tensor, Tensor], Tensor] = _Rows.apply
        return _pooled(rows_of(self.table, batch.row_O), batch, self.layout)

    @torch.no_grad()
    def current(self, row_N: Tensor) -> Tensor:
        """(N, W) rows of the table as they stand after the last step; a copy."""
        if self._deferred is not None:
            self._deferred.catch_up("table", row_N)
        return self.table.index_select(0, row_N)

    @torch.no_grad()
    def predict(self, examples: Examples) -> Tensor:
        """(N, C) float64 probabilities, without dropout and with batch norm's running statistics; the model
        stays in its mode."""
        was_training = self.training
        self.eval()
        index_N = torch.arange(len(examples), device=self.table.device)
        blocks = torch.split(index_N, _PREDICTED_AT_ONCE)
        logits = [self(examples.select(index_B)) for index_B in blocks]
        self.train(was_training)
        return probabilities(torch.cat(logits).double())

    def optimizer(self, learning_rate: float) -> Optimizer:
        """Adam over everything. A model has one optimizer at a time."""
        if not takes_kernels(self.table):
            if self.table.device.type == "cpu":
                rows = len(self.table)
                logger.warning("no compiled kernels: Adam walks over all %d rows in every step", rows)
            return DenseAdam(self.parameters(), learning_rate)
        self._deferred = DeferredAdam({"table": self.table}, learning_rate)
        network = DenseAdam(self.network.parameters(), learning_rate)
        return Together({"table": self._deferred, "network": network})


class BuildClassifier(Protocol):
    """How a model is made from its config; `generator` (CPU) draws the initial weights."""

    def __call__(
        self, config: ClassifierConfig, data: FieldData, *, generator: torch.Generator
    ) -> ClassifierModel: ...


def pooled(table: Tensor, batch: ExampleBatch, layout: Layout) -> Tensor:
    """(B, F, W) one row of the table for each field: that of its value, or the sum or mean of several.

    It can be differentiated twice.
    """
    if table.is_cuda:  # where this one's gradients are summed in a fixed order; elsewhere it is slow
        return _pooled(embedding(batch.row_O, table), batch, layout)
    return _pooled(table.index_select(0, batch.row_O), batch, layout)


def _pooled(rows_OW: Tensor, batch: ExampleBatch, layout: Layout) -> Tensor:
    """`pooled` of the rows that were looked up."""
    single_BSW, *several = batch.parts(rows_OW)
    if not several:
        return single_BSW
    single = iter(torch.split(single_BSW, 1, dim=1))
    bags = zip(several, batch.bags, strict=True)
    return torch.cat(
        [
            next(single) if field.pooling is None else _pooled_bag(*next(bags), field.pooling)
            for field in layout.fields
        ],
        dim=1,
    )


def _pooled_bag(rows_VW: Tensor, bag: Bag, pooling: Pooling) -> Tensor:
    """(B, 1, W)."""
    end = torch.tensor([len(rows_VW)], device=rows_VW.device)
    count_B = bag.start_B.diff(append=end)
    example_V = torch.repeat_interleave(count_B)
    sum_BW = rows_VW.new_zeros(len(count_B), rows_VW.shape[1]).index_add(0, example_V, rows_VW)
    return (sum_BW / count_B[:, None] if pooling == "mean" else sum_BW)[:, None]


@final
class _Rows(torch.autograd.Function):
    """Rows of a table, whose gradient has these rows alone, each once, in ascending order."""

    @staticmethod
    def forward(context: Any, table: Tensor, row_O: Tensor) -> Tensor:
        context.shape = table.shape
        context.save_for_backward(row_O)
        return table.index_select(0, row_O)

    @staticmethod
    def backward(context: Any, gradient_OW: Tensor) -> tuple[Tensor, None]:
        (row_O,) = context.saved_tensors
        ordered_O, order_O = row_O.sort(stable=True)
        row_N, count_N = torch.unique_consecutive(ordered_O, return_counts=True)
        begin_N = count_N.cumsum(0) - count_N
        sum_NW = embedding_bag(order_O, gradient_OW.contiguous(), begin_N, mode="sum")
        gradient = torch.sparse_coo_tensor(
            row_N[None], sum_NW, context.shape, is_coalesced=True, check_invariants=False
        )
        return gradient, None


def probabilities(logit_BL: Tensor) -> Tensor:
    """(B, C): of one logit [1 − σ(z), σ(z)], else the softmax."""
    if logit_BL.shape[1] > 1:
        return logit_BL.softmax(dim=1)
    return torch.cat([-logit_BL, logit_BL], dim=1).sigmoid()


def log_probabilities(logit_BL: Tensor) -> Tensor:
    """(B, C) ln of `probabilities`, without its rounding to 0."""
    if logit_BL.shape[1] > 1:
        return logit_BL.log_softmax(dim=1)
    return logsigmoid(torch.cat([-logit_BL, logit_BL], dim=1))
