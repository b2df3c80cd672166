"""The past of a stream: against a deque."""

from collections import Counter, deque

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from components.rec.streaming.history import History
from components.rec.streaming.model import StreamBatch

Row = tuple[int, int, int]
BATCHES = st.lists(st.integers(0, 25), max_size=8)


def batch_of(rows: list[Row]) -> StreamBatch:
    columns = torch.tensor(rows, dtype=torch.int64).reshape(-1, 3).unbind(dim=1)
    return StreamBatch(*columns)


def rows_of(batch: StreamBatch) -> list[Row]:
    columns = (batch.user_B.tolist(), batch.item_B.tolist(), batch.label_B.tolist())
    return list(zip(*columns, strict=True))


def kept(history: History) -> list[Row]:
    return sorted(map(tuple, history.state()["kept"].tolist()))


@settings(max_examples=200, deadline=None)
@given(capacity=st.integers(1, 20), sizes=BATCHES, reload_at=st.integers(0, 8))
def test_it_keeps_the_last(capacity: int, sizes: list[int], reload_at: int) -> None:
    """Also after it was saved and restored on the way."""
    history, expected, number = History(capacity), deque[Row](maxlen=capacity), 0
    for place, size in enumerate(sizes):
        if place == reload_at:
            state = {name: tensor.clone() for name, tensor in history.state().items()}
            history = History(capacity)
            history.load_state(state)
        rows = [(number + i, 1000 + number + i, (number + i) % 3) for i in range(size)]
        number += size
        history.enter(batch_of(rows))
        expected.extend(rows)
        assert len(history) == len(expected)
        assert kept(history) == sorted(expected)
        if len(expected):
            drawn = history.sample(7, torch.Generator().manual_seed(place))
            assert drawn is not None
            assert set(rows_of(drawn)) <= set(expected)
            assert drawn.user_B.dtype == drawn.label_B.dtype == torch.int64


def test_all_that_is_kept_is_drawn_alike() -> None:
    history, draws = History(50), 100_000
    for start in range(0, 120, 8):
        history.enter(batch_of([(start + i, 7, 1) for i in range(8)]))
    drawn = history.sample(draws, torch.Generator().manual_seed(1))
    assert drawn is not None
    counts = Counter(drawn.user_B.tolist())
    assert sorted(counts) == list(range(70, 120))
    mean = draws / 50
    assert all(abs(count - mean) < 5 * mean**0.5 for count in counts.values())
    chi_square = sum((count - mean) ** 2 / mean for count in counts.values())
    assert chi_square < 49 + 4 * (2 * 49) ** 0.5


def test_a_draw_follows_from_the_generator_alone() -> None:
    history = History(10)
    history.enter(batch_of([(i, i, 0) for i in range(10)]))
    before = torch.get_rng_state()
    first, second, other = (
        history.sample(20, torch.Generator().manual_seed(seed)).user_B for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_of_nothing_there_is_nothing_to_draw() -> None:
    generator = torch.Generator().manual_seed(1)
    before = generator.get_state()
    assert History(5).sample(3, generator) is None
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("capacity", [1, 1000, 10_000_000])
def test_it_takes_no_more_memory_than_what_it_keeps_and_as_much_again(capacity: int) -> None:
    history = History(capacity)
    for start in range(0, 5000, 100):
        history.enter(batch_of([(start + i, 7, 1) for i in range(100)]))
        taken = history.state()["kept"].untyped_storage().nbytes()
        assert 12 * len(history) <= taken <= 2 * 12 * len(history)
