"""The mask of message dropout."""

import numpy as np
import pytest
import torch

from components.compiled import available
from components.rec.models.dropout import draw_seeds, drop, least_kept, place_hash, row_key


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_it_drops_its_share_everywhere_and_keeps_the_mean(rate: float) -> None:
    table = torch.ones(4000, 50)
    dropped = drop(table, rate, draw_seeds(1, torch.Generator().manual_seed(1))[0])
    kept = dropped > 0
    assert torch.allclose(dropped[kept], torch.tensor(1 / (1 - rate)))
    spread = (rate * (1 - rate)) ** 0.5
    for dimension, size in ((0, 4000), (1, 50)):  # every column and every row by itself
        share = 1 - kept.float().mean(dim=dimension)
        assert (share - rate).abs().max() <= 5 * spread / size**0.5
    assert abs(float(1 - kept.float().mean()) - rate) <= 5 * spread / 200_000**0.5


def test_rows_columns_layers_and_steps_are_independent() -> None:
    generator = torch.Generator().manual_seed(2)
    seeds = torch.cat([draw_seeds(2, generator), draw_seeds(2, generator)])
    masks = torch.stack([drop(torch.ones(3000, 40), 0.5, seed) for seed in seeds]) - 1  # ±1
    of_columns = torch.corrcoef(masks[0].T)
    neighbors = (masks[0, 1:] * masks[0, :-1]).mean(), (masks[:, :, 1:] * masks[:, :, :-1]).mean()
    assert (of_columns - torch.eye(40)).abs().max() < 5 / 3000**0.5
    assert max(abs(float(value)) for value in neighbors) < 5 / (3000 * 40) ** 0.5
    assert (torch.corrcoef(masks.flatten(1)) - torch.eye(4)).abs().max() < 5 / (3000 * 40) ** 0.5


def test_a_row_is_the_same_whatever_it_is_computed_with() -> None:
    seed = draw_seeds(1, torch.Generator().manual_seed(3))[0]
    whole = drop(torch.ones(300, 20), 0.4, seed)
    assert torch.equal(drop(torch.ones(100, 8), 0.4, seed), whole[:100, :8])


@pytest.mark.skipif(not available(), reason="Numba is not installed")
@pytest.mark.parametrize("rate", [0.1, 0.73])
def test_the_kernel_s_mask_is_the_same(rate: float) -> None:
    seed = draw_seeds(1, torch.Generator().manual_seed(4))[0]
    keys = [row_key(row, seed.numpy()) for row in range(200)]
    kept = np.array([[place_hash(key, column) >= least_kept(rate) for column in range(70)] for key in keys])
    assert np.array_equal(kept, drop(torch.ones(200, 70), rate, seed).numpy() > 0)
