"""Models some of whose tensors have a row for each id of the data."""

from abc import ABC
from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

Side = Literal["user", "item", "value"]  # a value is one of a feature field


class RowModel(nn.Module, ABC):
    """What another model's rows can be carried over to, by raw id.

    Attributes:
        rows: the tensors that have a row for each user, each item or each value, in the order of the dense
            ids. The shape of every other tensor must not depend on the data's size.
    """

    rows: ClassVar[Mapping[str, Side]]

    def group_R(self, name: str) -> Tensor:
        """(R,) int64: of a tensor's rows, which are of a kind, such as the values of one field."""
        return torch.zeros(len(self.state_dict()[name]), dtype=torch.int64)
