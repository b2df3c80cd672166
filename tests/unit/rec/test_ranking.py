"""Full ranking against sorting in Python."""

import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from components.compiled import available
from components.rec import ranking
from components.rec.csr import Csr
from components.rec.products import inner_products
from components.rec.ranking import hits, rank, rank_for_all, top_k

FORMS = [
    pytest.param(ranking._rank_plain, id="plain"),
    pytest.param(
        ranking._rank_compiled,
        id="compiled",
        marks=pytest.mark.skipif(not available(), reason="Numba is missing"),
    ),
]


def csr(mask: Tensor) -> Csr:
    return Csr.from_pairs(*torch.nonzero(mask, as_tuple=True), len(mask))


def ranked(form, users: Tensor, items: Tensor, seen: Csr, k: int, block: int) -> list[list[int]]:
    top = torch.full((len(users), k), -1)
    assert sum(form(users, items, seen, top, block)) == len(users)
    return top.tolist()


def slow(score: Tensor, seen_mask: Tensor, k: int) -> list[list[int]]:
    """Sorted by Python: NaN first, then by score, then by item; −inf never."""
    lists = []
    for row, left_out in zip(score.tolist(), seen_mask.tolist(), strict=True):
        free = [item for item, s in enumerate(row) if not left_out[item] and s != float("-inf")]
        free.sort(
            key=lambda item: (row[item] == row[item], -row[item] if row[item] == row[item] else 0.0, item)
        )
        lists.append(free[:k] + [-1] * (k - len(free)))
    return lists


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    k=st.integers(1, 12),
    block=st.integers(1, 90),
    levels=st.integers(1, 5),
    num_users=st.sampled_from([1, 6, 70]),
    num_items=st.sampled_from([1, 9, 700, 1100]),
    seen_share=st.sampled_from([0.0, 0.4, 0.99, 1.0]),
)
def test_rank_equals_a_stable_sort(form, seed, k, block, levels, num_users, num_items, seen_share) -> None:
    generator = torch.Generator().manual_seed(seed)
    # few distinct values, so that ties are everywhere
    users = torch.randint(0, levels, (num_users, 2), generator=generator).float()
    items = torch.randint(-1, levels, (num_items, 2), generator=generator).float()
    seen_mask = torch.rand(num_users, num_items, generator=generator) < seen_share
    found = ranked(form, users, items, csr(seen_mask), k, block)
    assert found == slow(users @ items.T, seen_mask, k)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(1, 12), num_items=st.sampled_from([9, 700]))
def test_scores_that_are_no_numbers(form, seed, k, num_items) -> None:
    generator = torch.Generator().manual_seed(seed)
    kinds = torch.tensor([float("nan"), float("inf"), -float("inf"), -0.0, 0.0, 1.0])
    items = kinds[torch.randint(0, len(kinds), (num_items, 1), generator=generator)]
    users = torch.ones(5, 1)
    seen_mask = torch.rand(5, num_items, generator=generator) < 0.3
    found = ranked(form, users, items, csr(seen_mask), k, 2)
    assert found == slow(items.T.expand(5, -1), seen_mask, k)


@pytest.mark.skipif(not available(), reason="Numba is missing")
def test_both_forms_agree_on_real_numbers(monkeypatch) -> None:
    """And with any number of threads."""
    generator = torch.Generator().manual_seed(3)
    users, items = torch.randn(600, 16, generator=generator), torch.randn(3000, 16, generator=generator)
    seen = csr(torch.rand(600, 3000, generator=generator) < 0.02)
    threads = torch.get_num_threads()
    lists = []
    for count in (1, 3):
        torch.set_num_threads(count)
        lists.append(rank(users, items, seen, 20))
        assert torch.get_num_threads() == count
    torch.set_num_threads(threads)
    monkeypatch.setattr(ranking, "available", lambda: False)
    lists.append(rank(users, items, seen, 20, block=256))
    assert all(torch.equal(lists[0], other) for other in lists[1:])


def test_rank_takes_parameters_and_slices() -> None:
    users, items = torch.nn.Parameter(torch.eye(4)), torch.eye(8)[:, ::2]
    nothing = csr(torch.zeros(4, 8, dtype=torch.bool))
    assert rank(users, items, nothing, 1).flatten().tolist() == [0, 2, 4, 6]
    assert rank(users[:0], items, csr(torch.zeros(0, 8)), 3).shape == (0, 3)


def test_out_of_memory_is_answered_with_smaller_blocks(monkeypatch, caplog) -> None:
    """As a GPU would say it: more than 3 users at a time do not fit."""
    asked, whole = [], ranking._rank_block

    def rank_block(users_BD: Tensor, *rest) -> Tensor:
        asked.append(len(users_BD))
        if len(users_BD) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(users_BD, *rest)

    monkeypatch.setattr(ranking, "_rank_block", rank_block)
    generator = torch.Generator().manual_seed(0)
    users, items = torch.rand(10, 2, generator=generator), torch.rand(9, 2, generator=generator)
    seen_mask = torch.rand(10, 9, generator=generator) < 0.3
    with caplog.at_level(logging.WARNING):
        found = ranked(ranking._rank_plain, users, items, csr(seen_mask), 4, 8)
    assert asked == [8, 4, 2, 2, 2, 2, 2]
    assert found == slow(users @ items.T, seen_mask, 4)
    assert [record.getMessage() for record in caplog.records] == [
        f"ranking: out of memory, going on with {size} users at a time" for size in (4, 2)
    ]


def test_out_of_memory_for_a_single_user_is_an_error(monkeypatch) -> None:
    def rank_block(*_: object) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(ranking, "_rank_block", rank_block)
    with pytest.raises(torch.OutOfMemoryError):
        ranked(ranking._rank_plain, torch.ones(5, 1), torch.ones(3, 1), csr(torch.zeros(5, 3)), 2, 4)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    k=st.integers(1, 12),
    num_items=st.sampled_from([1, 9, 60]),
    seen_share=st.sampled_from([0.0, 0.1, 0.6, 1.0]),
)
def test_the_same_scores_for_everybody(seed: int, k: int, num_items: int, seen_share: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    score = torch.randint(0, 4, (num_items,), generator=generator).float()
    score[torch.rand(num_items, generator=generator) < 0.2] = -torch.inf
    seen_mask = torch.rand(7, num_items, generator=generator) < seen_share
    found = rank_for_all(score, csr(seen_mask), k)
    assert found.tolist() == slow(score.expand(7, -1), seen_mask, k)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(1, 9), levels=st.sampled_from([2, 30, 5000]))
def test_top_k_equals_a_stable_sort(seed: int, k: int, levels: int) -> None:
    """Wide enough for groups, and not a multiple of their size."""
    generator = torch.Generator().manual_seed(seed)
    score = torch.randint(0, levels, (4, 1500), generator=generator).float()
    score[0, 9:] = -torch.inf
    assert top_k(score, k).tolist() == slow(score, torch.zeros(4, 1500), k)


def test_inner_products() -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(70, 24, generator=generator), torch.randn(33, 24, generator=generator)
    for kind, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-12)):
        found = inner_products(one.to(kind), other.to(kind))
        torch.testing.assert_close(found, one.to(kind) @ other.to(kind).T, rtol=tolerance, atol=tolerance)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_hits_equal_set_membership(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    top = torch.stack([torch.randperm(8, generator=generator)[:5] for _ in range(4)])
    top[0, 3:] = -1
    mask = torch.rand(4, 8, generator=generator) < 0.3
    found = hits(top, csr(mask))
    for r in range(4):
        assert found[r].tolist() == [item >= 0 and bool(mask[r, item]) for item in top[r].tolist()]


def test_csr_select_keeps_rows_and_order() -> None:
    rows = Csr.from_pairs(torch.tensor([2, 0, 2, 0]), torch.tensor([5, 1, 3, 0]), 4)
    picked = rows.select(torch.tensor([2, 3, 0, 2]))
    assert picked.offsets.tolist() == [0, 2, 2, 4, 6]
    assert picked.values.tolist() == [3, 5, 0, 1, 3, 5]
    assert picked.rows.tolist() == [0, 0, 2, 2, 3, 3]
