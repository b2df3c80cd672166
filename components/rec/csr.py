"""Ragged lists of ids, one per row, as two flat tensors."""

from dataclasses import dataclass
from typing import final

import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor


@final
@dataclass(frozen=True)
class Csr:
    """Rows of ids: of a user's items, ascending, or of the codes of a multi-valued field.

    Attributes:
        offsets: (rows + 1,) int64; row r is `values[offsets[r]:offsets[r + 1]]`.
        values: (entries,) int64.
    """

    offsets: Tensor
    values: Tensor

    @classmethod
    def from_pairs(cls, row: Tensor, value: Tensor, num_rows: int) -> "Csr":
        """Collect distinct (row, value) pairs in any order; sorted ones are not copied."""
        if row.numel():
            key = row * (int(value.max()) + 1) + value
            if not bool((key[1:] > key[:-1]).all()):
                order = torch.argsort(key)
                row, value = row[order], value[order]
        counts = torch.bincount(row, minlength=num_rows)
        offsets = torch.zeros(num_rows + 1, dtype=torch.int64, device=row.device)
        torch.cumsum(counts, 0, out=offsets[1:])
        return cls(offsets, value)

    @classmethod
    def from_lists(cls, lists: pa.ChunkedArray, device: torch.device) -> "Csr":
        """A column of lists of integers."""
        count_N, values = pc.list_value_length(lists), pc.list_flatten(lists)
        end_N = torch.from_numpy(count_N.to_numpy().astype("int64")).cumsum(0)
        offsets = torch.cat([torch.zeros(1, dtype=torch.int64), end_N])
        return cls(offsets.to(device), torch.from_numpy(values.to_numpy().astype("int64")).to(device))

    @property
    def num_rows(self) -> int:
        return len(self.offsets) - 1

    @property
    def counts(self) -> Tensor:
        """(rows,) entries of each row."""
        return self.offsets.diff()

    @property
    def rows(self) -> Tensor:
        """(entries,) the row of each entry."""
        index = torch.arange(self.num_rows, device=self.offsets.device)
        return torch.repeat_interleave(index, self.counts)

    def select(self, rows: Tensor) -> "Csr":
        """The given rows, in the given order."""
        counts = self.counts[rows]
        offsets = torch.zeros(len(rows) + 1, dtype=torch.int64, device=rows.device)
        torch.cumsum(counts, 0, out=offsets[1:])
        shift = torch.repeat_interleave(self.offsets[rows] - offsets[:-1], counts)
        return Csr(offsets, self.values[torch.arange(int(offsets[-1]), device=rows.device) + shift])
