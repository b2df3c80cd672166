"""A step of a model that is not made: W*(V) ≈ W − ξ ∇_W L_train(W, V) (AutoLoss eq. 13)."""

from dataclasses import dataclass
from typing import Self, final

import torch
from torch import Tensor
from torch.func import functional_call

from components.rec.classifiers.base import ClassifierModel, looked_up
from components.rec.fields import ExampleBatch


@final
@dataclass(frozen=True)
class Weights:
    """A model's weights as values, as far as some batches need them. What is done with them leaves the model
    as it is, the running statistics of its batch norm too: those of the batch are taken.

    Attributes:
        row_N: the rows of the table that the batches touch, ascending.
        table_NW: these rows.
        network: the parameters of everything after the lookup.
    """

    model: ClassifierModel
    row_N: Tensor
    table_NW: Tensor
    network: dict[str, Tensor]

    @classmethod
    def of(cls, model: ClassifierModel, *batches: ExampleBatch) -> Self:
        """W as it stands."""
        row_N = torch.cat([batch.rows() for batch in batches]).unique()  # type: ignore[no-untyped-call]  # torch
        table_NW = model.current(row_N).requires_grad_()
        return cls(model, row_N, table_NW, dict(model.network.named_parameters()))

    def logits(self, batch: ExampleBatch) -> Tensor:
        """(B, L) in training mode without dropout."""
        looked = looked_up(
            self.table_NW,
            batch.within(self.row_N),
            self.model.layout,
            apart=self.model.network_type.reads_histories,
        )
        past = () if looked.past is None else (None, looked.past)
        statistics = {name: buffer.clone() for name, buffer in self.model.network.named_buffers()}
        logit_BL: Tensor = functional_call(
            self.model.network, {**self.network, **statistics}, (looked.rows_BFW, *past)
        )
        return logit_BL

    def after(self, loss: Tensor, rate: float) -> Self:
        """W − `rate` ∇_W `loss`, which can be differentiated with respect to whatever the loss depends on."""
        gradients = torch.autograd.grad(loss, [self.table_NW, *self.network.values()], create_graph=True)
        moved = [
            value - rate * gradient
            for value, gradient in zip([self.table_NW, *self.network.values()], gradients, strict=True)
        ]
        return type(self)(self.model, self.row_N, moved[0], dict(zip(self.network, moved[1:], strict=True)))
