"""Full ranking against sorting in Python."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from components.rec.csr import Csr
from components.rec.ranking import hits, rank


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(1, 12), block=st.integers(1, 7), levels=st.integers(1, 5))
def test_rank_equals_a_stable_sort(seed: int, k: int, block: int, levels: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    num_users, num_items = 6, 9
    # few distinct values, so that ties are everywhere
    users = torch.randint(0, levels, (num_users, 2), generator=generator).float()
    items = torch.randint(0, levels, (num_items, 2), generator=generator).float()
    seen_mask = torch.rand(num_users, num_items, generator=generator) < 0.4
    row, value = torch.nonzero(seen_mask, as_tuple=True)
    seen = Csr.from_pairs(row, value, num_users)

    top = rank(users, items, seen, k, block=block).tolist()

    for user in range(num_users):
        free = [item for item in range(num_items) if not seen_mask[user, item]]
        expected = sorted(free, key=lambda item: (-float(users[user] @ items[item]), item))[:k]
        assert top[user] == expected + [-1] * (k - len(expected))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_hits_equal_set_membership(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    top = torch.stack([torch.randperm(8, generator=generator)[:5] for _ in range(4)])
    top[0, 3:] = -1
    mask = torch.rand(4, 8, generator=generator) < 0.3
    row, value = torch.nonzero(mask, as_tuple=True)
    found = hits(top, Csr.from_pairs(row, value, 4))
    for r in range(4):
        assert found[r].tolist() == [item >= 0 and bool(mask[r, item]) for item in top[r].tolist()]


def test_csr_select_keeps_rows_and_order() -> None:
    rows = Csr.from_pairs(torch.tensor([2, 0, 2, 0]), torch.tensor([5, 1, 3, 0]), 4)
    picked = rows.select(torch.tensor([2, 3, 0, 2]))
    assert picked.offsets.tolist() == [0, 2, 2, 4, 6]
    assert picked.values.tolist() == [3, 5, 0, 1, 3, 5]
    assert picked.rows.tolist() == [0, 0, 2, 2, 3, 3]
