"""A prepared dataset as tensors."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

import pyarrow.parquet as pq
import torch
from torch import Tensor

from components.core import columns
from components.core.errors import InvalidInputError
from components.metrics.ranking import cut_off, per_user
from components.rec.csr import Csr
from components.rec.ranking import hits, rank
from components.rec.sequences.histories import Histories

if TYPE_CHECKING:
    from components.rec.models.base import RankingModel


@final
@dataclass(frozen=True)
class Past:
    """What S users of a batch did before.

    Attributes:
        user_S: each once, ascending.
        item_ST: the last items; `histories.NONE` in front of shorter histories.
    """

    user_S: Tensor
    item_ST: Tensor


@final
@dataclass(frozen=True)
class PairBatch:
    """B positive pairs.

    Attributes:
        user: (B,) int64.
        item: (B,) int64.
        past: of these users, for models that read histories.
    """

    user: Tensor
    item: Tensor
    past: Past | None = None

    def __len__(self) -> int:
        """Of what an epoch goes through: histories, or else pairs."""
        return len(self.user if self.past is None else self.past.user_S)


@final
@dataclass(frozen=True)
class RankingData:
    """Train and validation interactions; the test part is never loaded here.

    Attributes:
        user, item: (n,) int64, the train pairs in the dataset's order.
        train: the items of each user in train; what samplers and rankings leave out.
        valid: the items of each user in valid; may be empty.
        histories: in the order of time, where they were asked for.
    """

    num_users: int
    num_items: int
    user: Tensor
    item: Tensor
    train: Csr
    valid: Csr
    histories: Histories | None = None

    @classmethod
    def load(cls, dataset: Path, device: torch.device, *, in_time: bool = False) -> "RankingData":
        """Read train, valid and the vocabularies' sizes from a dataset artifact.

        Args:
            in_time: histories, too.

        Raises:
            InvalidInputError: nobody knows what came when.
        """
        num_users = pq.read_metadata(dataset / "users.parquet").num_rows
        num_items = pq.read_metadata(dataset / "items.parquet").num_rows
        user, item = _pairs(dataset / "train.parquet", device)
        return cls(
            num_users,
            num_items,
            user,
            item,
            train=Csr.from_pairs(user, item, num_users),
            valid=Csr.from_pairs(*_pairs(dataset / "valid.parquet", device), num_users),
            histories=Histories.load(dataset, num_users, device) if in_time else None,
        )

    def __len__(self) -> int:
        return len(self.user)

    @property
    def in_time(self) -> Histories:
        """The histories."""
        assert self.histories is not None
        return self.histories

    @property
    def popularity(self) -> Tensor:
        """(I,) train interactions of each item."""
        return torch.bincount(self.item, minlength=self.num_items)

    def batches(self, batch_size: int, generator: torch.Generator, first: int = 0) -> Iterator[PairBatch]:
        """Every train pair once, in random order; the last batch may be smaller.

        `generator` is a CPU generator, so that the order does not depend on the device. A resumed epoch
        begins with its batch number `first`.
        """
        order = torch.randperm(len(self), generator=generator).to(self.user.device)
        for start in range(first * batch_size, len(self), batch_size):
            index = order[start : start + batch_size]
            yield PairBatch(self.user[index], self.item[index])

    @property
    def has_validation(self) -> bool:
        """Whether there are interactions to validate on."""
        return self.valid.values.numel() > 0

    @torch.no_grad()
    def validate(self, model: "RankingModel", metric: str) -> dict[str, float]:
        """Mean metrics at the metric's K over the users with validation interactions; train is masked."""
        tables = model.tables()
        users = torch.nonzero(self.valid.counts).flatten()
        relevant = self.valid.select(users)
        k = cut_off([metric])
        top_QK = rank(tables.users[users], tables.items, self.train.select(users), k)
        found = hits(top_QK, relevant).cpu().numpy()
        values = per_user(found, relevant.counts.cpu().numpy(), [k])
        return {name: float(value.mean()) for name, value in values.items()}

    def num_batches(self, batch_size: int) -> int:
        return -(-len(self) // batch_size)


def choose_device(asked: str) -> torch.device:
    """`auto` is CUDA where there is one."""
    if asked == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if asked == "cuda" and not torch.cuda.is_available():
        raise InvalidInputError("training.device: got 'cuda', but this machine offers no CUDA device")
    return torch.device(asked)


def _pairs(path: Path, device: torch.device) -> tuple[Tensor, Tensor]:
    table = pq.read_table(path, columns=[columns.USER, columns.ITEM])
    user, item = (
        torch.from_numpy(table[name].to_numpy().astype("int64")).to(device)
        for name in (columns.USER, columns.ITEM)
    )
    return user, item
