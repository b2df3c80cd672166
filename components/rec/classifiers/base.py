"""A table of embeddings with a row for each value of each field, and the network over it."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple, Protocol, final

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
        names: of the fields that have a row.
        dim: length of an embedding.
        targets: of each history that is read apart, the place in `names` of the field whose values it has.
    """

    names: tuple[str, ...]
    dim: int
    num_logits: int
    targets: tuple[int, ...] = ()

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


class Past(NamedTuple):
    """What users did before B examples.

    Attributes:
        state_BTK: the behaviours, the last one at place T − 1: the embeddings of its values side by side, K =
            H D of H histories; zero where there is none.
        there_BT: where there is one; at the last place always.
    """

    state_BTK: Tensor
    there_BT: Tensor


class Looked(NamedTuple):
    """What a table has of B examples.

    Attributes:
        rows_BFW: a row for each field.
        past: for networks that read histories, where there are any; for others these are fields as well.
    """

    rows_BFW: Tensor
    past: Past | None = None


class Network(nn.Module, ABC):
    """Everything after the lookup.

    Attributes:
        linear: whether a row ends with linear weights, one for each logit; they are added to the logits.
        reads_histories: whether `forward` has a third argument, a `Past` where there are histories.
    """

    linear: ClassVar[bool]
    reads_histories: ClassVar[bool] = False

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

    Args:
        network: what its network is told beside the config.

    Attributes:
        network_type: what its network is.
        shape: what the network is told of the data.
        table: (R, W), a row for each code of each field, see `Layout`.
    """

    rows = VALUE_ROWS
    network_type: ClassVar[type[Network]]

    def __init__(
        self, config: Classifier, data: FieldData, *, generator: torch.Generator, **network: Any
    ) -> None:
        super().__init__()
        self.layout = data.layout
        self.shape = shape_of(
            self.layout, config.dim, data.num_logits, apart=self.network_type.reads_histories
        )
        shape = self.shape
        width = shape.dim + (shape.num_logits if self.network_type.linear else 0)
        table_RW = torch.zeros(self.layout.num_rows, width)
        table_RW[:, : shape.dim].normal_(std=config.init_std, generator=generator)
        self.table = nn.Parameter(table_RW)
        self.network = self.network_type(config, shape, generator=generator, **network)
        self._deferred: DeferredAdam | None = None

    def forward(self, batch: ExampleBatch, dropout: torch.Generator | None = None) -> Tensor:
        """(B, L) logits; see `Network`."""
        return self.answer(self.look_up(batch), dropout)

    def answer(self, looked: Looked, dropout: torch.Generator | None = None) -> Tensor:
        """(B, L) logits of what was looked up."""
        past = () if looked.past is None else (looked.past,)
        logit_BL: Tensor = self.network(looked.rows_BFW, dropout, *past)
        return logit_BL

    def group_R(self, name: str) -> Tensor:
        """(R,) the field of each of the table's rows."""
        sizes = torch.tensor([field.size for field in self.layout.fields])
        return torch.repeat_interleave(torch.arange(len(sizes)), sizes)

    def look_up(self, batch: ExampleBatch) -> Looked:
        """The network's input, with gradients that reach the table."""
        apart = self.network_type.reads_histories
        if self._deferred is None:
            return looked_up(self.table, batch, self.layout, apart=apart)
        self._deferred.catch_up("table", batch.row_O)
        rows_of: Callable[[Tensor, Tensor], Tensor] = _Rows.apply
        return _arranged(rows_of(self.table, batch.row_O), batch, self.layout, apart=apart)

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


def shape_of(layout: Layout, dim: int, num_logits: int, *, apart: bool) -> Shape:
    """`apart`: whether histories are read, and are no fields as the others."""
    if not apart:
        return Shape(layout.names, dim, num_logits)
    names = tuple(field.name for field in layout.fields if field.of is None)
    targets = tuple(names.index(field.of) for field in layout.fields if field.of is not None)
    return Shape(names, dim, num_logits, targets)


def looked_up(table: Tensor, batch: ExampleBatch, layout: Layout, *, apart: bool) -> Looked:
    """One row of the table for each field: that of its value, or the sum or mean of several.

    It can be differentiated twice.

    Args:
        apart: whether histories are read, and are no fields as the others.
    """
    if table.is_cuda:  # where this one's gradients are summed in a fixed order; elsewhere it is slow
        return _arranged(embedding(batch.row_O, table), batch, layout, apart=apart)
    return _arranged(table.index_select(0, batch.row_O), batch, layout, apart=apart)


def _arranged(rows_OW: Tensor, batch: ExampleBatch, layout: Layout, *, apart: bool) -> Looked:
    """`looked_up` of the rows that were looked up."""
    single_BSW, *several = batch.parts(rows_OW)
    if not several:
        return Looked(single_BSW)
    single = iter(torch.split(single_BSW, 1, dim=1))
    bags = zip(several, batch.bags, strict=True)
    rows, histories = [], []
    for field in layout.fields:
        if field.pooling is None:
            rows.append(next(single))
        elif apart and field.of is not None:
            histories.append(next(bags))
        else:
            rows.append(_pooled_bag(*next(bags), field.pooling))
    return Looked(torch.cat(rows, dim=1), _past(histories) if histories else None)


def _past(histories: Sequence[tuple[Tensor, Bag]]) -> Past:
    """Of histories of the same behaviours."""
    start_B, length = histories[0][1].start_B, len(histories[0][0])
    count_B = start_B.diff(append=start_B.new_tensor([length]))
    longest = int(count_B.max())
    place_BT = torch.arange(longest, device=start_B.device) - (longest - count_B)[:, None]
    there_BT = place_BT >= 0
    row_BT = (place_BT + start_B[:, None]).where(there_BT, 0)
    state_BTK = torch.cat([rows_VW[row_BT] for rows_VW, _ in histories], dim=2)
    return Past(state_BTK * there_BT[:, :, None], there_BT)


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
