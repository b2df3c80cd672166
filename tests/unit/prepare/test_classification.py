"""From labelled examples to a dataset."""

import itertools
import math
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.core.errors import GateFailedError, InvalidInputError
from components.core.recipe import PrepareExamplesParams
from components.core.recipe.examples import FieldKind
from components.data.contracts.dataset.classification import validate
from components.data.document import read_document
from components.data.parquet import read_table, write_table
from components.prepare.classification import run

NUMBERS = itertools.count()
KINDS: dict[str, FieldKind] = {"item": "categorical", "price": "numeric", "genres": "multi_valued"}
TYPES = {"categorical": pa.string(), "numeric": pa.float64(), "multi_valued": pa.list_(pa.string())}
PARTS = ("train", "valid", "test")


def params(*, kinds: dict[str, FieldKind] = KINDS, **other: Any) -> PrepareExamplesParams:
    return PrepareExamplesParams(**{"kinds": kinds, "classes": ("no", "yes"), "seed": 1, **other})


def interactions(root: Path, rows: list[tuple[Any, ...]], *others: str) -> Path:
    """Write label, item, price, genres and the other columns."""
    place = root / f"interactions-{next(NUMBERS)}"
    place.mkdir()
    names = ["label", *KINDS, *others]
    types = {name: TYPES[kind] for name, kind in KINDS.items()} | {"label": pa.int32()}
    columns = {name: pa.array([row[at] for row in rows], types.get(name)) for at, name in enumerate(names)}
    write_table(pa.table(columns), place / "interactions.parquet")
    return place


def prepare(root: Path, source: Path, **other: Any) -> Path:
    """A dataset that keeps its contract."""
    output = root / f"dataset-{next(NUMBERS)}"
    output.mkdir()
    given_params = params(**other)
    metrics = run(given_params, {"interactions": source}, output, SimpleNamespace())
    assert all(isinstance(value, float) for value in metrics.values())
    validate(output, given_params, {"interactions": source}, root / f"docs-{next(NUMBERS)}")
    return output


def table(dataset: Path, name: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in read_table(dataset / f"{name}.parquet").to_pylist()]


BY_HAND = [
    (0, "b", 1.0, ["x"], "train"),
    (1, "a", 9.0, None, "train"),
    (1, "c", 5.0, ["y", "x", "y"], "test"),
    (0, "b", None, ["z", "y"], "train"),
    (0, None, 7.0, ["w", "z"], "test"),
    (1, "b", 1.0, ["x"], "valid"),
    (1, "d", 3.0, ["y"], "train"),
    (0, "b", 1.0, ["x"], "test"),
    (0, "a", -2.0, ["q"], "valid"),
]


def test_a_dataset_by_hand(tmp_path: Path) -> None:
    encodings = {"numeric": {"kind": "quantile", "buckets": 2}, "pooling": "sum"}
    dataset = prepare(
        tmp_path, interactions(tmp_path, BY_HAND, "part"), split={"kind": "given"}, encodings=encodings
    )
    assert table(dataset, "train") == [
        (0, 0, 3, 2, [2]),
        (1, 1, 2, 3, [1]),
        (3, 0, 3, 1, [3, 4]),
        (6, 1, 4, 3, [3]),
    ]
    assert table(dataset, "valid") == [(5, 1, 3, 2, [2]), (8, 0, 2, 2, [0])]
    assert table(dataset, "test") == [(2, 1, 0, 3, [2, 3]), (4, 0, 1, 3, [0, 4]), (7, 0, 3, 2, [2])]
    assert read_table(dataset / "train.parquet").schema.names == ["row", "label", *KINDS]
    assert table(dataset, "values") == [
        ("item", 2, "a", 1), ("item", 3, "b", 2), ("item", 4, "d", 1),
        ("price", 2, "(-inf, 3)", 1), ("price", 3, "[3, inf)", 2),
        ("genres", 2, "x", 1), ("genres", 3, "y", 2), ("genres", 4, "z", 1),
    ]  # fmt: skip
    assert table(dataset, "edges") == [("price", 2, -math.inf), ("price", 3, 3.0)]
    sizes = {"train": 4, "valid": 2, "test": 3}
    assert read_document(dataset / "preparation.json") == {
        "classes": ["no", "yes"],
        "missing": [""],
        "sizes": sizes,
        "split": {"kind": "given", "valid_fraction": 0.1, "sizes": sizes},
        "class_counts": {
            "train": {"no": 2, "yes": 2}, "valid": {"no": 1, "yes": 1}, "test": {"no": 2, "yes": 1},
        },
        "fields": {
            "item": {
                "encoding": "values", "size": 5, "missing": 1 / 9,
                "unknown": {"train": 0, "valid": 0, "test": 1 / 3},
            },
            "price": {
                "encoding": "quantile", "size": 4, "missing": 1 / 9,
                "unknown": {"train": 0, "valid": 0, "test": 0},
            },
            "genres": {
                "encoding": "values", "size": 5, "missing": 1 / 9,
                "unknown": {"train": 0, "valid": 0.5, "test": 1 / 3},
            },
        },
        "equal_across_parts": 1,
    }  # fmt: skip


def test_histories_become_codes_of_their_field(tmp_path: Path) -> None:
    kinds: dict[str, FieldKind] = {"history_item": "history", "item": "categorical"}
    place = tmp_path / "interactions"
    place.mkdir()
    rows = {
        "label": pa.array([0, 1, 0, 1, 0, 1], pa.int32()),
        "history_item": pa.array(
            [None, ["a"], ["a", "b"], ["b", "a", "b"], ["c", None], ["a"]], TYPES["multi_valued"]
        ),
        "item": pa.array(["a", "b", "b", "a", "c", None]),
        "timestamp": pa.array([1, 2, 3, 4, 5, 6], pa.int64()),
    }
    write_table(pa.table(rows), place / "interactions.parquet")
    split = {"kind": "temporal", "ratio": [4, 0, 2]}
    told = {"kinds": kinds, "histories": {"history_item": "item"}, "split": split}
    dataset = prepare(tmp_path, place, **told, history_length=3)
    assert table(dataset, "train") == [
        (0, 0, [1], 2, 1), (1, 1, [2], 3, 2), (2, 0, [2, 3], 3, 3), (3, 1, [3, 2, 3], 2, 4),
    ]  # fmt: skip
    assert table(dataset, "test") == [(4, 0, [0, 1], 0, 5), (5, 1, [2], 1, 6)]
    assert table(dataset, "fields") == [
        ("history_item", "history", "values", "mean", 0, "item", 3),
        ("item", "categorical", "values", None, 4, None, None),
    ]
    assert table(dataset, "values") == [("item", 2, "a", 2), ("item", 3, "b", 2)]
    found = read_document(dataset / "preparation.json")["fields"]["history_item"]
    assert found["unknown"] == {"train": 0, "valid": None, "test": 0.5}
    assert found["missing"] == 2 / 6
    with pytest.raises(GateFailedError, match=r"history_item: behaviours in the longest: .* such as 3"):
        prepare(tmp_path, place, **told, history_length=2)


def made_up(size: int, seed: int = 5, *, classes: int = 2) -> list[tuple[Any, ...]]:
    generator = random.Random(seed)
    return [
        (
            place % classes,
            generator.choice(["a", "b", "c", "d", None]),
            generator.choice([None, 1.0, -3.5, 40.0, 1e6]),
            generator.choice([None, ["x"], ["y", "x"], ["z", "z", "w"]]),
            generator.randint(0, size // 3),
        )
        for place in range(size)
    ]


ENCODINGS: Any = st.fixed_dictionaries(
    {
        "categorical": st.sampled_from(
            [{"kind": "values", "min_count": 2}, {"kind": "hashed", "buckets": 3}]
        ),
        "numeric": st.sampled_from([{"kind": "quantile", "buckets": 3}, {"kind": "log2", "min_count": 3}]),
        "multi_valued": st.sampled_from([{"kind": "values"}, {"kind": "hashed", "buckets": 9}]),
        "pooling": st.sampled_from(["sum", "mean"]),
    }
)
SPLITS = st.sampled_from(
    [
        {"kind": "random"},
        {"kind": "random", "ratio": [3, 0, 1]},
        {"kind": "temporal", "ratio": [2, 1, 1]},
        {"kind": "given"},
        {"kind": "given", "valid_fraction": 0},
    ]
)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000), size=st.integers(20, 60), encodings=ENCODINGS, split=SPLITS)
def test_every_dataset_keeps_its_contract(
    seed: int, size: int, encodings: Any, split: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("prepare")
    generator = random.Random(seed)
    rows = [(*row, generator.choice(["train", "train", "test"])) for row in made_up(size, seed)]
    try:
        dataset = prepare(
            root, interactions(root, rows, "timestamp", "part"), encodings=encodings, split=split
        )
    except InvalidInputError:
        return  # a part would be without a class, and that was said
    parts = [table(dataset, part) for part in PARTS]
    labels = {row[0]: row[1] for part in parts for row in part}
    assert [labels[place] for place in range(size)] == [row[0] for row in rows]


def test_the_same_examples_give_the_same_bytes(tmp_path: Path) -> None:
    rows = made_up(200)
    one, two, other = (
        prepare(tmp_path, interactions(tmp_path, rows, "timestamp"), seed=seed) for seed in (1, 1, 2)
    )
    for name in (*PARTS, "fields", "values", "edges"):
        contents = [(dataset / f"{name}.parquet").read_bytes() for dataset in (one, two)]
        assert contents[0] == contents[1]
    assert table(one, "test") != table(other, "test")


def test_a_random_split_is_exact_and_keeps_equal_examples_together(tmp_path: Path) -> None:
    """Each of 100 examples comes three times."""
    rows = [(place % 2, f"i{place // 2 % 100}", float(place // 200), ["x"]) for place in range(200)]
    rows = [row for row in rows for _ in range(3)]
    dataset = prepare(tmp_path, interactions(tmp_path, rows))
    preparation = read_document(dataset / "preparation.json")
    assert preparation["sizes"] == {"train": 480, "valid": 60, "test": 60}
    assert preparation["equal_across_parts"] <= 6


@pytest.mark.parametrize(
    ("rows", "other", "told"),
    [
        (BY_HAND[:1], {}, "prepare: valid is empty: the given split gave it none of 1 examples"),
        (
            [row for row in BY_HAND if row[-1] != "test"],
            {},
            "prepare: test is empty: the given split gave it none of 6 examples; need more data or another "
            "split",
        ),
        (
            BY_HAND,
            {"classes": ("no", "yes", "may be")},
            "train: has no example of class 'may be'; nothing can be learned of it without one\n"
            "valid: has no example of class 'may be'; metrics are not defined without one\n"
            "test: has no example of class 'may be'; metrics are not defined without one\n"
            "need more data, another split or seed, or fewer `source.label.classes`",
        ),
        (
            [(0, *row[1:]) if row[-1] == "valid" else row for row in BY_HAND],
            {},
            "valid: has no example of class 'yes'; metrics are not defined without one\nneed more data",
        ),
        (
            [(*row[:2], row[2] if row[-1] == "test" else None, *row[3:]) for row in BY_HAND],
            {},
            "source.fields: price: is missing in every example of train",
        ),
        (
            BY_HAND,
            {"encodings": {"categorical": {"kind": "values", "min_count": 3}}},
            "prepare.encodings: item: got min_count 3, but of 3 values in train none occurs more than 2 "
            "times",
        ),
        (BY_HAND, {"split": {"kind": "temporal"}}, "got temporal, but the source has no times"),
        (
            BY_HAND,
            {"kinds": {"item": "categorical", "rank": "numeric"}},
            "source.fields: got item, rank, but the examples have item, price, genres",
        ),
    ],
)
def test_what_cannot_be_prepared_is_told(
    rows: list[tuple[Any, ...]], other: dict[str, Any], told: str, tmp_path: Path
) -> None:
    source = interactions(tmp_path, rows, "part")
    with pytest.raises(InvalidInputError) as error:
        prepare(tmp_path, source, **{"split": {"kind": "given"}, **other})
    assert told in str(error.value)
    assert not list(tmp_path.glob("dataset-*/*.parquet"))


def test_expectations_are_tried_on_what_will_be_there(tmp_path: Path) -> None:
    source = interactions(tmp_path, BY_HAND, "part")
    unknown = {
        "expect": "expect_column_values_to_not_be_null",
        "table": "test",
        "arguments": {"column": "part"},
    }
    told = "column: got 'part', need one of the columns row, label, item, price, genres"
    with pytest.raises(InvalidInputError, match=told):
        prepare(tmp_path, source, split={"kind": "given"}, expectations=[unknown])
