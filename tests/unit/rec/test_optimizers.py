"""Deferred Adam against dense Adam and against its own formula."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from components.compiled import available
from components.rec.optimizers.base import BETA_1, BETA_2, EPSILON
from components.rec.optimizers.deferred import FADES, SUMS, DeferredAdam, _expansion
from components.rec.optimizers.dense import DenseAdam

pytestmark = pytest.mark.skipif(not available(), reason="Numba is not installed")
ROWS, DIM, RATE = 60, 5, 0.01


class Twins:
    """The same table under both optimizers."""

    def __init__(self, seed: int = 0) -> None:
        start = torch.randn(ROWS, DIM, generator=torch.Generator().manual_seed(seed)) * 0.1
        self.start = start
        self.dense_table, self.table = nn.Parameter(start.clone()), nn.Parameter(start.clone())
        self.dense = DenseAdam([self.dense_table], RATE)
        self.deferred = DeferredAdam({"table": self.table}, RATE)

    def step(self, rows: Tensor, values: Tensor) -> None:
        self.deferred.catch_up("table", rows)
        gradient = torch.zeros(ROWS, DIM)
        gradient[rows] = values
        self.dense_table.grad = gradient
        self.table.grad = torch.sparse_coo_tensor(
            rows[None], values, (ROWS, DIM), is_coalesced=True, check_invariants=True
        )
        self.dense.step()
        self.deferred.step()

    def distance(self) -> float:
        """Relative to how far the weights have moved."""
        self.deferred.settle()
        moved = (self.dense_table - self.start).norm()
        return float(((self.table - self.dense_table).norm() / moved.clamp(min=1e-12)).detach())


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.sets(st.integers(0, ROWS - 1), max_size=8), min_size=1, max_size=40),
    st.integers(0, 400),
    st.integers(0, 100),
)
def test_it_equals_dense_adam(touched: list[set[int]], offset: int, seed: int) -> None:
    twins = Twins(seed)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(offset):  # one row keeps the step counters going
        twins.step(torch.tensor([0]), torch.full((1, DIM), 1e-3))
    for rows in touched:
        scale = 10 ** float(torch.rand((), generator=generator) * 8 - 8)
        values = torch.randn(len(rows), DIM, generator=generator) * scale
        twins.step(torch.tensor(sorted(rows), dtype=torch.int64), values)
    assert twins.distance() < 2e-5


def test_it_equals_dense_adam_over_thousands_of_steps() -> None:
    twins = Twins()
    generator = torch.Generator().manual_seed(1)
    for _ in range(3000):
        rows = torch.randperm(ROWS, generator=generator)[:2].sort().values
        twins.step(rows, torch.randn(2, DIM, generator=generator) * 1e-4)
    assert twins.distance() < 2e-5


@settings(max_examples=200, deadline=None)
@given(begin=st.integers(300, 100_000), count=st.integers(1, 5000), exponent=st.floats(-14, 0))
def test_the_expansion_equals_the_sum(begin: int, count: int, exponent: float) -> None:
    """To 1e-6, for gradients from far below ε to far above."""
    root = 10**exponent
    j = np.arange(1, count + 1)
    a = BETA_2 ** (j / 2) / np.sqrt(1 - BETA_2 ** (begin + j))
    b = BETA_1**j / (1 - BETA_1 ** (begin + j))
    expected = float((b / (a * root + EPSILON)).sum())
    total, mean, moment_2, moment_3 = _expansion(begin, count, SUMS, FADES)
    q = root / (mean * root + EPSILON)
    found = total / (mean * root + EPSILON) * (1 + q * q * (moment_2 - q * moment_3))
    assert math.isclose(found, expected, rel_tol=1e-6)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=4), st.integers(1, 400))
def test_being_looked_at_on_the_way_changes_nothing(waits: list[int], first: int) -> None:
    """Weights that are brought up to date in several parts, until long after the moments have faded."""
    often, once = Twins(), Twins()
    gradient = torch.full((1, DIM), 1e-3)
    for step in range(first + sum(waits)):
        row = torch.tensor([1 if step == first - 1 else 0])
        for twins in (often, once):
            twins.step(row, gradient)
        if step >= first and step - first in [sum(waits[:end]) - 1 for end in range(1, len(waits) + 1)]:
            often.deferred.catch_up("table", torch.tensor([1]))
    for twins in (often, once):
        assert twins.distance() < 2e-5
    assert torch.allclose(often.table[1], once.table[1], rtol=0, atol=1e-7)
    later = torch.full((1, DIM), -2e-3)
    for twins in (often, once):
        twins.step(torch.tensor([1]), later)
    assert torch.allclose(often.table[1], once.table[1], rtol=0, atol=1e-7)


def test_rows_that_are_looked_at_stand_as_if_nothing_had_been_put_off() -> None:
    twins = Twins()
    for _ in range(20):
        twins.step(torch.tensor([3, 7]), torch.ones(2, DIM))
    for _ in range(5):
        twins.step(torch.tensor([7]), torch.ones(1, DIM))
    twins.deferred.catch_up("table", torch.tensor([[3, 3], [7, 50]]))
    assert torch.allclose(twins.table[[3, 7, 50]], twins.dense_table[[3, 7, 50]], atol=1e-6)
    assert torch.equal(twins.table[50], twins.start[50])


def test_a_state_that_is_not_settled_goes_on_with_the_same_bits() -> None:
    def run(stop_at: int | None) -> Tensor:
        twins = Twins()
        generator = torch.Generator().manual_seed(4)
        for number in range(60):
            if number == stop_at:
                table = nn.Parameter(twins.table.detach().clone())
                resumed = DeferredAdam({"table": table}, RATE)
                resumed.load_state({name: part.clone() for name, part in twins.deferred.state().items()})
                twins.table, twins.deferred = table, resumed
            rows = torch.randperm(ROWS, generator=generator)[:3].sort().values
            twins.step(rows, torch.randn(3, DIM, generator=generator))
        twins.deferred.settle()
        return twins.table.detach()

    assert torch.equal(run(None), run(31))
