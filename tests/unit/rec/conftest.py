"""Small worlds for models and samplers."""

import pytest
import torch

from components.rec.csr import Csr
from components.rec.data import RankingData
from components.rec.sequences.histories import Histories


def make_data(
    num_users: int, num_items: int, pairs: list[tuple[int, int]], valid: list[tuple[int, int]]
) -> RankingData:
    """`RankingData` from explicit pairs; a user's history is in their order."""
    user, item = (torch.tensor(column, dtype=torch.int64) for column in zip(*sorted(pairs), strict=True))
    empty = torch.zeros(0, dtype=torch.int64)
    valid_user, valid_item = (
        (torch.tensor(column, dtype=torch.int64) for column in zip(*valid, strict=True))
        if valid
        else (empty, empty)
    )
    return RankingData(
        num_users,
        num_items,
        user,
        item,
        train=Csr.from_pairs(user, item, num_users),
        valid=Csr.from_pairs(valid_user, valid_item, num_users),
        histories=Histories(in_order(pairs, num_users), in_order([*pairs, *valid], num_users)),
    )


def in_order(pairs: list[tuple[int, int]], num_users: int) -> Csr:
    """The items of each user as they come."""
    items = [[item for user, item in pairs if user == one] for one in range(num_users)]
    offsets = torch.tensor([0, *(len(row) for row in items)]).cumsum(0)
    return Csr(offsets, torch.tensor([item for row in items for item in row], dtype=torch.int64))


@pytest.fixture
def clustered() -> RankingData:
    """40 users and 30 items in two clusters that never mix: train 2/3 of each user's own items."""
    generator = torch.Generator().manual_seed(5)
    train, valid = [], []
    for user in range(40):
        own = [item for item in range(30) if item % 2 == user % 2]
        order = torch.randperm(len(own), generator=generator).tolist()
        train += [(user, own[place]) for place in order[:9]]
        valid += [(user, own[place]) for place in order[9:12]]
    return make_data(40, 30, train, valid)
