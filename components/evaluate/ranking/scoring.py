"""What a model would have recommended to the test users, and how good that was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor

from components.core import columns
from components.core.errors import IntegrityError, InvalidInputError
from components.data.matching import positions
from components.data.parquet import read_table
from components.metrics.ranking import per_user
from components.rec.csr import Csr
from components.rec.data import RankingData
from components.rec.ranking import hits, rank, rank_for_all

Metrics = Mapping[str, NDArray[np.float64]]


@final
@dataclass(frozen=True, kw_only=True)
class Exam:
    """The questions of a test: Q users with at least one relevant item, over a catalogue of I items.

    Attributes:
        users: (Q,) dense ids, ascending.
        relevant: the test items of each.
        seen: the items left out of each one's ranking.
        train: the items of all users in train.
        user_ids, item_ids: raw ids of all users and all items, in dense order.
        popularity_I: interactions of each item in train.
    """

    users: Tensor
    relevant: Csr
    seen: Csr
    train: Csr
    user_ids: pa.Array
    item_ids: pa.Array
    popularity_I: Tensor

    @property
    def num_relevant_Q(self) -> NDArray[np.int64]:
        counts: NDArray[np.int64] = self.relevant.counts.cpu().numpy()
        return counts


def read_exam(dataset: Path, mask: Literal["train", "train_valid"], device: torch.device) -> Exam:
    """The exam of a dataset artifact.

    Raises:
        InvalidInputError: nothing is set aside for testing.
    """
    data = RankingData.load(dataset, device)
    table = read_table(dataset / "test.parquet")
    if table.num_rows == 0:
        raise InvalidInputError("dataset: got no test interactions, need at least one to evaluate a model")
    user, item = (
        torch.from_numpy(table[name].to_numpy().astype(np.int64)).to(device)
        for name in (columns.USER, columns.ITEM)
    )
    test = Csr.from_pairs(user, item, data.num_users)
    seen = data.train
    if mask == "train_valid":
        seen = Csr.from_pairs(
            torch.cat([data.train.rows, data.valid.rows]),
            torch.cat([data.train.values, data.valid.values]),
            data.num_users,
        )
    users = torch.nonzero(test.counts).flatten()
    return Exam(
        users=users,
        relevant=test.select(users),
        seen=seen.select(users),
        train=data.train,
        user_ids=read_table(dataset / "users.parquet")[columns.USER_ID].combine_chunks(),
        item_ids=read_table(dataset / "items.parquet")[columns.ITEM_ID].combine_chunks(),
        popularity_I=data.popularity.float(),
    )


def grade(top_QK: Tensor, exam: Exam, ks: Sequence[int]) -> Metrics:
    """Metrics of each of the exam's users; see `components.metrics.ranking.per_user`."""
    found_QK = hits(top_QK, exam.relevant).cpu().numpy()
    return per_user(found_QK, exam.num_relevant_Q, ks)


def answer(model: Path, exam: Exam, k: int, block: int) -> Tensor:
    """(Q, k) rankings of a model that was trained on the exam's own dataset."""
    user_ids, users_UD = embeddings(model, "user", exam.popularity_I.device)
    item_ids, items_ID = embeddings(model, "item", exam.popularity_I.device)
    for name, found, expected in (
        ("user", user_ids, exam.user_ids),
        ("item", item_ids, exam.item_ids),
    ):
        if not found.equals(expected):
            raise IntegrityError(f"model/{name}_embeddings.parquet: its {name}s are not those of the dataset")
    return rank(users_UD[exam.users], items_ID, exam.seen, k, block=block)


def answer_of_champion(model: Path, exam: Exam, k: int, block: int) -> Tensor:
    """(Q, k) rankings of an older model with a vocabulary of its own, over today's catalogue.

    It answers as it would when served: it never recommends an item that it does not know (a list may
    stay short), and it gives popular items to a user whom it does not know. Popularity is counted
    in today's train, over the items it knows. The same seen items are left out as for the challenger.
    """
    device = exam.popularity_I.device
    user_ids, users_UD = embeddings(model, "user", device)
    item_ids, items_ID = embeddings(model, "item", device)
    item_of_known, row_of_known = _shared(exam.item_ids, item_ids, device)
    row_of_user = _positions(exam.user_ids, user_ids, device)[exam.users]
    known_user = row_of_user >= 0

    top_QK = torch.empty((len(exam.users), k), dtype=torch.int64, device=device)
    seen = _restrict(exam.seen, item_of_known, len(exam.item_ids))
    of_known, of_unknown = (
        seen.select(torch.nonzero(asked).flatten()) for asked in (known_user, ~known_user)
    )
    top_QK[known_user] = rank(
        users_UD[row_of_user[known_user]], items_ID[row_of_known], of_known, k, block=block
    )
    top_QK[~known_user] = rank_for_all(exam.popularity_I[item_of_known], of_unknown, k)
    unranked = top_QK < 0
    top_QK = item_of_known[top_QK.clamp(min=0)]
    top_QK[unranked] = -1
    return top_QK


def known_to(model: Path, exam: Exam) -> NDArray[np.bool_]:
    """(Q,) which of the exam's users an older model has an embedding for."""
    user_ids = read_table(model / "user_embeddings.parquet")[columns.USER_ID].combine_chunks()
    asked = exam.user_ids.take(pa.array(exam.users.cpu().numpy()))
    known: NDArray[np.bool_] = positions(asked, user_ids) >= 0
    return known


def learned_share(exam: Exam, dataset: Path) -> float:
    """The share of the exam's relevant pairs that stand in train or valid of another dataset, by raw id."""
    place_U, place_I = (
        positions(today, read_table(dataset / f"{name}s.parquet")[f"{name}_id"].combine_chunks())
        for name, today in ((columns.USER, exam.user_ids), (columns.ITEM, exam.item_ids))
    )
    learned = pa.concat_tables(
        read_table(dataset / f"{part}.parquet").select([columns.USER, columns.ITEM])
        for part in ("train", "valid")
    )
    width = 1 + max(place_I.max(initial=0), pc.max(learned[columns.ITEM]).as_py() or 0)
    keys = learned[columns.USER].to_numpy().astype(np.int64) * width + learned[columns.ITEM].to_numpy()
    user = place_U[exam.users.cpu().numpy()[exam.relevant.rows.cpu().numpy()]]
    item = place_I[exam.relevant.values.cpu().numpy()]
    asked = np.where((user >= 0) & (item >= 0), user * width + item, -1)
    return float(np.isin(asked, keys).mean())


def _shared(current: pa.Array, known: pa.Array, device: torch.device) -> tuple[Tensor, Tensor]:
    """Positions in `current` of the ids that are also in `known`, ascending, and their rows there."""
    rows = _positions(current, known, device)
    shared = torch.nonzero(rows >= 0).flatten()
    if not len(shared):
        raise InvalidInputError(
            f"champion: none of its {len(known)} items is among the {len(current)} of the dataset; it "
            "was trained on other data. Delete the alias 'champion' to start anew"
        )
    return shared, rows[shared]


def _positions(values: pa.Array, among: pa.Array, device: torch.device) -> Tensor:
    return torch.from_numpy(positions(values, among)).to(device)


def _restrict(rows: Csr, items: Tensor, num_items: int) -> Csr:
    """`rows` with the given items alone, each named by its position in `items`."""
    position = torch.full((num_items,), -1, dtype=torch.int64, device=items.device)
    position[items] = torch.arange(len(items), device=items.device)
    value = position[rows.values]
    kept = value >= 0
    return Csr.from_pairs(rows.rows[kept], value[kept], rows.num_rows)


def embeddings(model: Path, name: str, device: torch.device) -> tuple[pa.Array, Tensor]:
    """Raw ids and vectors of a model's users or items."""
    table = read_table(model / f"{name}_embeddings.parquet")
    vectors = table[columns.EMBEDDING].combine_chunks()
    flat = torch.from_numpy(vectors.flatten().to_numpy().copy())
    return table[f"{name}_id"].combine_chunks(), flat.reshape(table.num_rows, -1).to(device)
