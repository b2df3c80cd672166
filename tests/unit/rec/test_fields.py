"""Examples in memory, and the batches that are made of them."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from components.core.errors import InvalidInputError
from components.data.parquet import write_table
from components.metrics.classification import measure
from components.rec.fields import ExampleBatch, FieldData
from tests.unit.rec.field_worlds import MIXED, make_batch, make_examples, make_field_data, make_layout

CPU = torch.device("cpu")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two single-valued fields with a multi-valued one between them."""
    fields = {
        "field": ["city", "tags", "age"],
        "kind": ["categorical", "multi_valued", "numeric"],
        "encoding": ["values", "hashed", "quantile"],
        "pooling": [None, "mean", None],
        "size": pa.array([5, 4, 3], pa.int32()),
        "of": pa.nulls(3, pa.string()),
        "length": pa.nulls(3, pa.int32()),
    }
    write_table(pa.table(fields), tmp_path / "fields.parquet")
    parts = {
        "train": ([0, 1, 0], [4, 0, 2], [[3], [0, 2, 0], [1, 3]], [2, 1, 0]),
        "valid": ([1], [1], [[2, 2]], [1]),
        "test": ([1], [3], [[1]], [1]),
    }
    for part, (label, city, tags, age) in parts.items():
        columns = {
            "row": pa.array(range(len(label)), pa.int64()),
            "label": pa.array(label, pa.int32()),
            "city": pa.array(city, pa.int32()),
            "tags": pa.array(tags, pa.list_(pa.int32())),
            "age": pa.array(age, pa.int32()),
        }
        write_table(pa.table(columns), tmp_path / f"{part}.parquet")
    (tmp_path / "preparation.json").write_text(json.dumps({"classes": ["no", "yes"]}))
    return tmp_path


def test_a_dataset_as_its_files_have_it(dataset: Path) -> None:
    data = FieldData.load(dataset, CPU)
    assert (len(data), data.classes, data.num_logits, data.has_validation) == (3, ("no", "yes"), 1, True)
    assert data.layout.offset_F == (0, 5, 9)
    assert data.layout.num_rows == 12
    batch = data.train.select(torch.tensor([2, 1, 1]))
    assert batch.row_BS.tolist() == [[2, 9], [0, 10], [0, 10]]
    (tags,) = batch.bags
    assert tags.row_V.tolist() == [6, 8, 5, 7, 5, 5, 7, 5]
    assert tags.start_B.tolist() == [0, 2, 5]
    assert batch.label_B.tolist() == [0, 1, 1]
    assert batch.rows().tolist() == [0, 2, 5, 6, 7, 8, 9, 10]
    assert data.valid.select(torch.tensor([0])).bags[0].row_V.tolist() == [7, 7]


def test_a_dataset_without_validation_and_without_single_values(dataset: Path) -> None:
    valid = pa.table({"label": pa.array([], pa.int32()), "tags": pa.array([], pa.list_(pa.int32()))})
    write_table(valid, dataset / "valid.parquet")
    only = {
        "field": ["tags"],
        "kind": ["multi_valued"],
        "pooling": ["sum"],
        "size": pa.array([4], pa.int32()),
        "of": pa.nulls(1, pa.string()),
        "length": pa.nulls(1, pa.int32()),
    }
    write_table(pa.table(only), dataset / "fields.parquet")
    data = FieldData.load(dataset, CPU)
    assert not data.has_validation
    assert data.train.select(torch.tensor([0])).row_BS.shape == (1, 0)
    with pytest.raises(InvalidInputError, match="no example of class no, yes"):
        data.require_validation()


def test_validation_needs_every_class_of_train(dataset: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"valid\.label: got no example of class no, need"):
        FieldData.load(dataset, CPU).require_validation()
    make_field_data(make_layout(), num_classes=3).require_validation()


def values(batch: ExampleBatch) -> list[list[list[int]]]:
    """For each example its rows, first those of the single-valued fields."""
    found = [[[row] for row in rows] for rows in batch.row_BS.tolist()]
    for bag in batch.bags:
        bounds = [*bag.start_B.tolist(), len(bag.row_V)]
        for b, rows in enumerate(found):
            rows.append(bag.row_V[bounds[b] : bounds[b + 1]].tolist())
    return found


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 19), max_size=30))
def test_selected_examples_are_those_of_single_selections(chosen: list[int]) -> None:
    examples = make_examples(make_layout(), 20, 3, seed=4)
    batch = examples.select(torch.tensor(chosen, dtype=torch.int64))
    one_by_one = [examples.select(torch.tensor([index])) for index in chosen]
    assert len(batch) == len(chosen)
    assert values(batch) == [values(example)[0] for example in one_by_one]
    assert batch.label_B.tolist() == [int(example.label_B) for example in one_by_one]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.sets(st.integers(0, 69)), st.integers(0, 99))
def test_places_among_rows_stand_for_them(size: int, others: set[int], seed: int) -> None:
    batch = make_batch(make_layout(), size, seed)
    assert batch.rows().tolist() == sorted({row for rows in values(batch) for bag in rows for row in bag})
    row_N = torch.tensor(sorted(others | set(batch.rows().tolist())))
    compact = batch.within(row_N)
    assert [[[int(row_N[place]) for place in bag] for bag in rows] for rows in values(compact)] == values(
        batch
    )
    assert torch.equal(compact.label_B, batch.label_B)


# -- batches


def order_of(batches: list[ExampleBatch]) -> list[list[list[int]]]:
    return [example for batch in batches for example in values(batch)]


@settings(max_examples=60, deadline=None)
@given(num_train=st.integers(2, 40), batch_size=st.integers(2, 45), seed=st.integers(0, 99))
def test_an_epoch_passes_every_example_once_and_none_alone(
    num_train: int, batch_size: int, seed: int
) -> None:
    data = make_field_data(make_layout(), num_train=num_train)
    generator = torch.Generator().manual_seed(seed)
    state = generator.get_state()
    batches = list(data.batches(batch_size, generator))
    everything = values(data.train.select(torch.arange(num_train)))
    assert sorted(order_of(batches)) == sorted(everything)
    sizes = [len(batch) for batch in batches]
    assert min(sizes) > 1
    assert all(size == batch_size for size in sizes[:-1])
    assert sizes[-1] <= batch_size + 1
    first = len(batches) // 2
    generator.set_state(state)
    assert order_of(list(data.batches(batch_size, generator, first))) == order_of(batches[first:])


def test_batches_come_in_another_order_each_epoch() -> None:
    data, generator = make_field_data(make_layout(), num_train=50), torch.Generator().manual_seed(3)
    assert order_of(list(data.batches(8, generator))) != order_of(list(data.batches(8, generator)))


def test_metrics_are_those_of_the_predictions() -> None:
    data = make_field_data(make_layout(MIXED), num_classes=3)
    probability_NC = torch.rand(len(data.valid), 3, generator=torch.Generator().manual_seed(1)).double()
    probability_NC /= probability_NC.sum(dim=1, keepdim=True)

    class Predicting:
        def predict(self, examples: object) -> Tensor:
            assert examples is data.valid
            return probability_NC

    expected = measure(probability_NC.numpy(), data.valid.label_N.numpy())
    assert data.validate(Predicting(), "auc") == expected  # type: ignore[arg-type]
    assert expected.keys() == {"auc", "logloss", "accuracy", "ece"}
