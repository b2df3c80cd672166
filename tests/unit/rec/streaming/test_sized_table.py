"""Embeddings of many sizes: against a dictionary of vectors, each with an Adam of its own."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from components.rec.streaming.sized_table import SizedTable
from components.rec.streaming.unify import Unify

SIZES = (2, 3, 5)
RATE = 0.01


def table_of(num_ids: int, seed: int = 0) -> SizedTable:
    table = SizedTable(SIZES, 0.1, generator=torch.Generator().manual_seed(seed))
    table.extend(num_ids)
    return table


def some_maps() -> list[nn.Linear]:
    generator = torch.Generator().manual_seed(7)
    maps = []
    for small, large in pairwise(SIZES):
        layer = nn.Linear(small, large)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
        maps.append(layer)
    return maps


def some_unify() -> Unify:
    generator = torch.Generator().manual_seed(8)
    unify = Unify(SIZES, generator=generator)
    unify.maps = nn.ModuleList(some_maps())
    unify.mean_KW = torch.randn(unify.mean_KW.shape, generator=generator)
    unify.variance_KW = torch.rand(unify.variance_KW.shape, generator=generator) + 0.5
    return unify


def values_of(table: SizedTable) -> dict[int, Tensor]:
    rows = table.rows(torch.arange(len(table)))
    vectors = [vector.detach() for values in rows.values for vector in values]
    return dict(zip(rows.id_R.tolist(), vectors, strict=True))


class SlowTable:
    """What a `SizedTable` should do, id by id."""

    def __init__(self, values: dict[int, Tensor]) -> None:
        self.vector = {number: value.clone() for number, value in values.items()}
        self.adam: dict[int, torch.optim.Adam] = {}

    def step(self, gradients: dict[int, Tensor]) -> None:
        for number, gradient in gradients.items():
            vector = self.vector[number]
            if number not in self.adam:
                self.adam[number] = torch.optim.Adam([vector], lr=RATE)
            vector.grad = gradient
            self.adam[number].step()

    def enlarge(self, numbers: list[int], maps: list[nn.Linear]) -> None:
        for number in numbers:
            old = self.vector[number]
            with torch.no_grad():
                self.vector[number] = maps[SIZES.index(len(old))](old)
            self.adam.pop(number, None)  # begins anew


NUM_IDS = 9
BATCH = st.lists(st.integers(0, NUM_IDS - 1), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(events=st.lists(st.tuples(st.sampled_from(["step", "enlarge"]), BATCH), max_size=12))
def test_it_does_what_single_vectors_would(events: list[tuple[str, list[int]]]) -> None:
    table, maps = table_of(NUM_IDS), some_maps()
    slow = SlowTable(values_of(table))
    generator = torch.Generator().manual_seed(1)
    for kind, ids in events:
        if kind == "enlarge":
            growing = sorted(n for n in set(ids) if len(slow.vector[n]) < SIZES[-1])
            table.enlarge(torch.tensor(growing, dtype=torch.int64), maps)
            slow.enlarge(growing, maps)
            continue
        rows = table.rows(torch.tensor(ids))
        gradients = [torch.randn(values.shape, generator=generator) for values in rows.values]
        for values, gradient in zip(rows.values, gradients, strict=True):
            values.grad = gradient
        table.step(rows, RATE)
        flat = [row for gradient in gradients for row in gradient]
        slow.step(dict(zip(rows.id_R.tolist(), flat, strict=True)))
    found = values_of(table)
    for number, vector in slow.vector.items():
        assert torch.allclose(found[number], vector, atol=1e-6), number
    assert table.counts() == [sum(len(v) == size for v in slow.vector.values()) for size in SIZES]
    assert table.size_of(torch.arange(NUM_IDS)).tolist() == [
        SIZES.index(len(slow.vector[n])) for n in range(NUM_IDS)
    ]


@settings(max_examples=40, deadline=None)
@given(first=BATCH, ids=BATCH, chosen=st.lists(st.booleans(), min_size=12, max_size=12))
def test_what_is_enlarged_for_the_time_being_is_what_growing_would_give(
    first: list[int], ids: list[int], chosen: list[bool]
) -> None:
    table, unify = table_of(NUM_IDS), some_unify()
    maps = [layer for layer in unify.maps if isinstance(layer, nn.Linear)]
    table.enlarge(torch.tensor(sorted(set(first))), maps)
    before = {name: tensor.clone() for name, tensor in table.state().items()}
    rows = table.rows(torch.tensor(ids))
    chosen_R = torch.tensor(chosen)[: len(rows.id_R)] & (rows.size_R < len(SIZES) - 1)
    tried = rows.enlarged(chosen_R)
    tried_BW = unify(tried.values, tried.size_R)[tried.place_B]
    after = table.state()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)

    table.enlarge(rows.id_R[chosen_R], maps)
    grown = table.rows(torch.tensor(ids))
    assert torch.equal(tried.size_R[tried.place_B], grown.size_R[grown.place_B])
    assert tried.id_R[tried.place_B].tolist() == ids
    assert torch.allclose(tried_BW, unify(grown.values)[grown.place_B], atol=1e-5)


def test_a_batch_finds_its_rows() -> None:
    table = table_of(5)
    table.enlarge(torch.tensor([1, 3]), some_maps())
    rows = table.rows(torch.tensor([3, 0, 3, 4]))
    assert rows.counts == [2, 1, 0]
    assert rows.id_R.tolist() == [0, 4, 3]
    assert rows.place_B.tolist() == [2, 0, 2, 1]
    assert rows.size_R.tolist() == [0, 0, 1]


def test_the_largest_size_grows_no_more() -> None:
    table, maps = table_of(2), some_maps()
    for _ in range(2):
        table.enlarge(torch.tensor([1]), maps)
    with pytest.raises(AssertionError, match="no next one"):
        table.enlarge(torch.tensor([1]), maps)


def test_storage_is_that_of_the_sizes() -> None:
    table, maps = table_of(10_000), some_maps()
    floats = 4
    assert 10_000 * 2 * floats <= table.bytes()[0] <= 1.125 * 10_000 * 2 * floats
    table.enlarge(torch.arange(9_000), maps)
    used = [1_000 * 2 * floats, 9_000 * 3 * floats, 0]
    assert table.counts() == [1_000, 9_000, 0]
    assert all(found <= 1.125 * needed for found, needed in zip(table.bytes(), used, strict=True))
    for _ in range(100):  # few at a time
        table.extend(len(table) + 50)
    used[0] += 5_000 * 2 * floats
    assert all(needed <= found <= 1.125 * needed for found, needed in zip(table.bytes(), used, strict=True))


def test_a_table_goes_on_where_its_state_was_taken() -> None:
    maps = some_maps()

    def go_on(table: SizedTable) -> dict[int, Tensor]:
        table.extend(12)
        table.enlarge(torch.tensor([2, 11]), maps)
        rows = table.rows(torch.tensor([2, 5, 11]))
        for values in rows.values:
            values.grad = torch.ones_like(values)
        table.step(rows, RATE)
        return values_of(table)

    table = table_of(9)
    table.enlarge(torch.tensor([0, 5, 8]), maps)
    rows = table.rows(torch.tensor([0, 5]))
    rows.values[1].grad = torch.ones_like(rows.values[1])
    table.step(rows, RATE)
    state = {name: tensor.clone() for name, tensor in table.state().items()}
    copy = table_of(1, seed=3)
    copy.load_state(state)
    assert copy.counts() == table.counts()
    ours, theirs = go_on(table), go_on(copy)
    assert all(torch.equal(ours[number], theirs[number]) for number in ours)
