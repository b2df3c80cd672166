"""Kernels of scores and their gradients against torch's autograd."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from components.compiled import available
from components.rec.scores import half_squares, item_gradient, pair_scores, user_gradient

pytestmark = pytest.mark.skipif(not available(), reason="Numba is not installed")


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    size=st.integers(1, 30),
    width=st.integers(1, 5),
    dim=st.integers(1, 35),
    dead=st.booleans(),
)
def test_scores_and_gradients_equal_autograd(seed: int, size: int, width: int, dim: int, dead: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    users, items = (torch.randn(rows, dim, generator=generator, requires_grad=True) for rows in (6, 9))
    user_B = torch.randint(0, 6, (size,), generator=generator)
    item_BK = torch.randint(0, 9, (size, width), generator=generator)
    slope_BK, l2_BK = (torch.randn(size, width, generator=generator) for _ in range(2))
    l2_B = torch.randn(size, generator=generator)
    if dead:  # pairs that nothing depends on
        slope_BK[:, -1] = l2_BK[:, -1] = 0

    score_BK = (users[user_B][:, None] * items[item_BK]).sum(dim=2)
    user_B2, item_BK2 = users[user_B].square().sum(dim=1) / 2, items[item_BK].square().sum(dim=2) / 2
    ((score_BK * slope_BK).sum() + (user_B2 * l2_B).sum() + (item_BK2 * l2_BK).sum()).backward()

    tables = users.detach(), items.detach()
    assert torch.allclose(pair_scores(*tables, user_B, item_BK), score_BK, atol=1e-5)
    assert torch.allclose(half_squares(tables[0], user_B), user_B2, atol=1e-5)
    assert torch.allclose(half_squares(tables[1], item_BK), item_BK2, atol=1e-5)
    of_users = user_gradient(tables[1], user_B, item_BK, slope_BK, l2_B).whole(tables[0])
    of_items = item_gradient(tables[0], user_B, item_BK, slope_BK, l2_BK).whole(tables[1])
    assert torch.allclose(of_users.to_dense(), users.grad, atol=1e-4)
    assert torch.allclose(of_items.to_dense(), items.grad, atol=1e-4)
    rows = of_items._indices()[0]
    assert (rows.diff() > 0).all()
    if dead and width == 1:
        assert not len(rows)
