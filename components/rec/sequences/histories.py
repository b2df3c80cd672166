"""What users did, in the order of time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, final

import pyarrow.parquet as pq
import torch
from torch import Tensor

from components.core.columns import ITEM, POSITION, TIMESTAMP, USER
from components.core.errors import InvalidInputError
from components.rec.csr import Csr

NONE: Final = -1  # stands where a history has no item
Upto = Literal["train", "valid"]


@final
@dataclass(frozen=True)
class Histories:
    """The items of each user in the order of time, ties by item.

    Attributes:
        train: those in train, which are learned from, and which valid is asked after.
        valid: those in train and valid, which test and whoever is served are asked after.
    """

    train: Csr
    valid: Csr

    @classmethod
    def load(cls, dataset: Path, num_users: int, device: torch.device) -> "Histories":
        """From a dataset artifact.

        Raises:
            InvalidInputError: it has neither timestamps nor positions.
        """
        train_3N, valid_3N = (_read(dataset / f"{part}.parquet") for part in ("train", "valid"))
        found = (
            _in_order(rows_3N, num_users) for rows_3N in (train_3N, torch.cat([train_3N, valid_3N], dim=1))
        )
        return cls(*(Csr(rows.offsets.to(device), rows.values.to(device)) for rows in found))

    def upto(self, part: Upto) -> Csr:
        """Those in train, or in train and valid."""
        return self.train if part == "train" else self.valid


def last_items(history: Csr, row_S: Tensor, end_S: Tensor, length: int) -> Tensor:
    """(S, length) the last items of some rows before the places `end_S` in them, `NONE` in front of shorter
    ones."""
    place_ST = (end_S - length)[:, None] + torch.arange(length, device=row_S.device)
    there_ST = place_ST >= 0
    item_ST = history.values[(history.offsets[row_S][:, None] + place_ST).where(there_ST, 0)]
    return item_ST.where(there_ST, NONE)


@final
@dataclass(frozen=True)
class Alike:
    """Some of a batch's histories, of like lengths, without the empty space in front of all of them.

    Attributes:
        place_G: where they are in the batch.
        item_GT: as `last_items` gives them.
    """

    place_G: Tensor
    item_GT: Tensor


def of_like_length(item_ST: Tensor) -> list[Alike]:
    """Each history once: those that fill more than half of the length, more than a quarter, and so on. Most
    histories are short, and a model need not read their empty space."""
    number_S = (item_ST != NONE).sum(dim=1)
    groups, longest = [], item_ST.shape[1]
    while longest:
        above = longest // 2
        place_G = torch.nonzero((number_S <= longest) & ((number_S > above) | (above == 0))).flatten()
        if len(place_G):
            groups.append(Alike(place_G, item_ST[place_G, -longest:]))
        longest = above
    return groups


def put_back(groups: Sequence[Alike], found: Sequence[Tensor]) -> Tensor:
    """(S, …) what was found for each group, in the order of the batch."""
    return torch.cat(list(found))[torch.cat([group.place_G for group in groups]).argsort()]


def _read(path: Path) -> Tensor:
    """(3, N) users, items and when."""
    names = pq.read_schema(path).names
    order = next((name for name in (TIMESTAMP, POSITION) if name in names), None)
    if order is None:
        raise InvalidInputError(
            "training.model: reads what users did in the order of time, and the dataset has neither "
            "timestamps nor positions; map `source.columns.timestamp`, or say `source.format: {kind: "
            "adjacency, ordered: true}` where the items of a line stand in that order"
        )
    table = pq.read_table(path, columns=[USER, ITEM, order])
    columns = (torch.from_numpy(table[name].to_numpy().astype("int64")) for name in (USER, ITEM, order))
    return torch.stack(list(columns))


def _in_order(rows_3N: Tensor, num_users: int) -> Csr:
    for key in (1, 2, 0):  # the last one counts most
        rows_3N = rows_3N[:, torch.argsort(rows_3N[key], stable=True)]
    counts = torch.bincount(rows_3N[0], minlength=num_users)
    return Csr(torch.cat([counts.new_zeros(1), counts.cumsum(0)]), rows_3N[1].contiguous())
