"""Encoders of fields."""

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.core.errors import InvalidInputError
from components.core.recipe.example_preparation import Encodings
from components.core.recipe.examples import FieldKind
from components.data.encoders import counting
from components.data.encoders.field import FieldEncoder, fit_field
from components.data.encoders.log2 import log_square
from components.data.encoders.quantile import bucket_texts
from components.data.encoders.tables import read_encoders, write_encoders
from components.data.fields import EDGES, FIELDS, VALUES
from components.data.parquet import read_table

TYPES = {
    "categorical": pa.string(),
    "numeric": pa.float64(),
    "multi_valued": pa.list_(pa.string()),
    "history": pa.list_(pa.string()),
}
TEXTS = st.lists(st.none() | st.text("abcé", max_size=2), min_size=1, max_size=40)
NUMBERS = st.lists(
    st.none() | st.integers(-5, 60).map(float) | st.floats(allow_nan=True, allow_infinity=False),
    min_size=1,
    max_size=40,
)
LISTS = st.lists(st.none() | st.lists(st.none() | st.text("abc", max_size=1), max_size=4), max_size=30)
OF_TEXT = st.sampled_from([{"kind": "values"}, {"kind": "hashed", "buckets": 5}])
OF_NUMBERS = st.sampled_from([{"kind": "quantile", "buckets": 4}, {"kind": "log2"}])
CASES = st.one_of(
    st.tuples(st.just("categorical"), TEXTS, OF_TEXT),
    st.tuples(st.just("numeric"), NUMBERS, OF_NUMBERS),
    st.tuples(st.just("multi_valued"), LISTS, OF_TEXT),
)


def fit(of: FieldKind, train: Sequence[Any], **encoding: Any) -> FieldEncoder:
    """An encoder of the field f, fitted to parts of at most seven rows."""
    encodings = Encodings(fields={"f": encoding})
    parts = [train[start : start + 7] for start in range(0, len(train), 7)] or [[]]
    return fit_field("f", of, encodings, (pa.array(part, TYPES[of]) for part in parts))


def codes(encoder: FieldEncoder, values: Sequence[Any]) -> list[Any]:
    found: list[Any] = encoder.encode(pa.array(values, TYPES[encoder.kind])).to_pylist()
    return found


def texts(encoder: FieldEncoder) -> list[str]:
    found: list[str] = encoder.encoder.vocabulary.texts.to_pylist()
    return found


def test_values_have_codes_in_their_order() -> None:
    encoder = fit("categorical", ["b", "é", None, "a", "b", "Z"], kind="values")
    assert texts(encoder) == ["Z", "a", "b", "é"]
    assert encoder.encoder.vocabulary.count_V.tolist() == [1, 1, 2, 1]
    assert codes(encoder, ["Z", "a", "b", "é", None, "q", ""]) == [2, 3, 4, 5, 1, 0, 0]
    assert encoder.size == 6


def test_rare_values_are_out_of_vocabulary() -> None:
    encoder = fit("categorical", list("aabbbc"), kind="values", min_count=2)
    assert (texts(encoder), codes(encoder, list("abc"))) == (["a", "b"], [2, 3, 0])


def test_hashed_values_depend_on_their_bytes_alone() -> None:
    encoder = fit("categorical", ["a"], kind="hashed", buckets=1000)
    values = ["a", "b", "ünknown", "68fd1e64"]
    digests = [hashlib.blake2b(value.encode(), digest_size=8).digest() for value in values]
    expected = [2 + int.from_bytes(digest, "little") % 1000 for digest in digests]
    assert codes(encoder, [*values, None]) == [*expected, 1]
    assert (encoder.size, texts(encoder)) == (1002, [])


def test_buckets_hold_about_as_many_numbers_each() -> None:
    encoder = fit("numeric", [8, 7, 6, 5, None, 4, 3, 2, 1], kind="quantile", buckets=4)
    assert texts(encoder) == ["(-inf, 3)", "[3, 5)", "[5, 7)", "[7, inf)"]
    assert encoder.encoder.vocabulary.count_V.tolist() == [2, 2, 2, 2]
    assert codes(encoder, [-1e300, 2.9, 3, 4.999, 7, 1e300, None, math.nan]) == [2, 2, 3, 3, 5, 5, 1, 1]


def test_repeated_numbers_make_fewer_buckets() -> None:
    encoder = fit("numeric", [0] * 8 + [1, 2.5], kind="quantile", buckets=5)
    assert texts(encoder) == ["(-inf, 1)", "[1, inf)"]
    constant = fit("numeric", [0.0, -0.0], kind="quantile")
    assert (texts(constant), codes(constant, [-5, 0, 5])) == (["(-inf, inf)"], [2, 2, 2])


def slow_buckets(numbers: list[float], buckets: int) -> list[float]:
    ordered = sorted(numbers)
    starts = {ordered[k * len(ordered) // buckets] for k in range(1, buckets)}
    return [-math.inf, *sorted(start for start in starts if start > ordered[0])]


@given(
    train=st.lists(st.integers(-3, 9).map(float) | st.floats(-1e9, 1e9), min_size=1, max_size=60),
    buckets=st.integers(2, 12),
    others=st.lists(st.floats(allow_nan=False), max_size=10),
)
def test_quantiles_are_those_of_a_sorted_list(train: list[float], buckets: int, others: list[float]) -> None:
    encoder = fit("numeric", train, kind="quantile", buckets=buckets)
    lows = slow_buckets(train, buckets)
    assert encoder.encoder.vocabulary.low_V.tolist() == lows
    numbers = [*train, *others]
    expected = [1 + sum(low <= number for low in lows) for number in numbers]
    assert codes(encoder, numbers) == expected
    count = Counter(expected[: len(train)])
    assert encoder.encoder.vocabulary.count_V.tolist() == [count[code] for code in range(2, encoder.size)]
    assert min(count.values()) > 0
    assert len(set(texts(encoder))) == len(lows) <= buckets


def test_texts_of_buckets_tell_close_numbers_apart() -> None:
    low = 1_000_000.1
    found = bucket_texts(np.array([-math.inf, low, math.nextafter(low, 2e6), 1e22])).to_pylist()
    assert found[0] == "(-inf, 1000000.1)"
    assert found[-1] == "[1e+22, inf)"
    assert len(set(found)) == 4


def pytorch_fm(value: int) -> str:
    """`convert_numeric_feature` of its Criteo data set."""
    if value > 2:
        return str(int(math.log(value) ** 2))
    return str(value - 2)


@given(st.lists(st.integers(-100, 100) | st.integers(-(2**40), 2**40), min_size=1, max_size=50))
def test_log_squares_are_those_of_pytorch_fm(numbers: list[int]) -> None:
    encoder = fit("numeric", [float(number) for number in numbers], kind="log2")
    expected = [pytorch_fm(number) for number in numbers]
    assert texts(encoder) == sorted(set(expected), key=int)
    found = codes(encoder, [float(number) for number in numbers])
    assert [texts(encoder)[code - 2] for code in found] == expected


@given(st.lists(st.floats(allow_nan=False), min_size=2, max_size=20))
def test_log_squares_do_not_fall(numbers: list[float]) -> None:
    found = log_square(np.sort(numbers))
    assert (found[1:] >= found[:-1]).all()


def test_rare_buckets_are_out_of_vocabulary() -> None:
    encoder = fit("numeric", [1, 1, 2, 3, 3, 50, None], kind="log2", min_count=2)
    assert texts(encoder) == ["-1", "1"]
    assert codes(encoder, [1, 1.9, 2, 3, 50, -7, None, math.nan]) == [2, 2, 0, 3, 0, 0, 1, 1]


def test_lists_become_sets_of_codes() -> None:
    train = [["b", "a", "b"], ["a"], None, [], [None], ["c", "a"]]
    encoder = fit("multi_valued", train, kind="values", min_count=1)
    assert (texts(encoder), encoder.pooling) == (["a", "b", "c"], "mean")
    assert encoder.encoder.vocabulary.count_V.tolist() == [3, 1, 1]  # examples, whatever they repeat
    assert codes(encoder, train) == [[2, 3], [2], [1], [1], [1], [2, 4]]
    assert codes(encoder, [["q", "r", "b", "q"], ["q", None]]) == [[0, 3], [0]]


@settings(deadline=None)
@given(case=CASES, data=st.data())
def test_codes_do_not_depend_on_the_order_of_rows(
    case: tuple[FieldKind, list[Any], dict[str, Any]], data: st.DataObject
) -> None:
    kind, train, encoding = case
    try:
        encoder = fit(kind, train, **encoding)
    except InvalidInputError:
        return  # there is no value
    order = data.draw(st.permutations(range(len(train))))
    shuffled = [train[place] for place in order]
    other = fit(kind, shuffled, **encoding)
    found = codes(encoder, train)
    assert codes(other, shuffled) == [found[place] for place in order]
    flat = [code for each in found for code in (each if kind == "multi_valued" else [each])]
    assert set(flat) <= set(range(1, encoder.size))
    if encoding["kind"] != "hashed":
        count = Counter(flat)
        assert encoder.encoder.vocabulary.count_V.tolist() == [count[code] for code in range(2, encoder.size)]


def test_many_values_are_added_up_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    train = [f"v{number % 30}" for number in range(200)]
    whole = fit("categorical", train, kind="values")
    monkeypatch.setattr(counting, "_WAITING", 10)
    again = fit("categorical", train, kind="values")
    assert texts(again) == texts(whole)
    assert again.encoder.vocabulary.count_V.tolist() == whole.encoder.vocabulary.count_V.tolist()
    assert sum(again.encoder.vocabulary.count_V) == 200


def test_encoders_are_written_and_read(tmp_path: Path) -> None:
    hashed, fewer = {"kind": "hashed", "buckets": 7}, {"kind": "hashed", "buckets": 2}
    encodings = Encodings(pooling="sum", fields={"c": hashed, "x": {"kind": "log2"}, "z": fewer})
    train: dict[str, tuple[FieldKind, list[Any]]] = {
        "a": ("categorical", ["q", "p", None]),
        "c": ("categorical", ["u", "v", "w"]),
        "x": ("numeric", [-4.0, 30.0, 2.5]),
        "y": ("numeric", [1.0, 2.0, 2.5]),
        "m": ("multi_valued", [["s"], ["t", "s"], None]),
        "z": ("multi_valued", [["s"], ["t", "s"], None]),
    }
    encoders = [
        fit_field(name, kind, encodings, [pa.array(values, TYPES[kind])])
        for name, (kind, values) in train.items()
    ]
    lists = {"history_a": [["q", None, "q"], None], "history_c": [["v"], ["u", "u"]]}
    for name, values in lists.items():
        (of,) = [one for one in encoders if one.name == name.removeprefix("history_")]
        encoders.insert(0, replace(of, name=name, kind="history", pooling="sum", of=of.name, length=9))
        train[name] = ("history", values)
    write_encoders(encoders, tmp_path)
    again = read_encoders(tmp_path)
    for one, other in zip(encoders, again, strict=True):
        assert replace(one, encoder=other.encoder) == other
        assert one.size == other.size
        values = [*train[one.name][1], *train[one.name][1][::-1]]
        assert codes(other, values) == codes(one, values)
    tables = [read_table(tmp_path / f"{name}.parquet") for name in ("fields", "values", "edges")]
    assert [table.schema for table in tables] == [FIELDS, VALUES, EDGES]
    assert [tuple(row.values()) for row in tables[0].to_pylist()] == [
        ("history_c", "history", "hashed", "sum", 0, "c", 9),
        ("history_a", "history", "values", "sum", 0, "a", 9),
        ("a", "categorical", "values", None, 4, None, None),
        ("c", "categorical", "hashed", None, 9, None, None),
        ("x", "numeric", "log2", None, 5, None, None),
        ("y", "numeric", "quantile", None, 5, None, None),
        ("m", "multi_valued", "values", "sum", 4, None, None),
        ("z", "multi_valued", "hashed", "sum", 4, None, None),
    ]
    assert [tuple(row.values()) for row in tables[1].to_pylist()] == [
        ("a", 2, "p", 1), ("a", 3, "q", 1),
        ("x", 2, "-6", 1), ("x", 3, "0", 1), ("x", 4, "11", 1),
        ("y", 2, "(-inf, 2)", 1), ("y", 3, "[2, 2.5)", 1), ("y", 4, "[2.5, inf)", 1),
        ("m", 2, "s", 2), ("m", 3, "t", 1),
    ]  # fmt: skip
    assert [tuple(row.values()) for row in tables[2].to_pylist()] == [
        ("y", 2, -math.inf), ("y", 3, 2.0), ("y", 4, 2.5),
    ]  # fmt: skip


def test_a_history_keeps_order_and_repeats() -> None:
    item = fit("categorical", ["b", "a", "b", "c"], kind="values", min_count=1)
    history = replace(item, name="history_f", kind="history", pooling="mean", of="f", length=4)
    assert history.size == 0
    asked = [["c", "a", "c"], None, [], ["never seen", None, "b"], [None]]
    assert codes(history, asked) == [[4, 2, 4], [1], [1], [0, 1, 3], [1]]
    sliced = pa.array([["a"], *asked], TYPES["history"])[1:]
    assert history.encode(sliced).to_pylist() == codes(history, asked)
    assert codes(history, []) == []


def test_without_values_there_is_nothing_to_fit() -> None:
    with pytest.raises(InvalidInputError, match=r"source\.fields: f: is missing in every example of train"):
        fit("numeric", [None, math.nan], kind="quantile")
    with pytest.raises(InvalidInputError, match="is missing in every example"):
        fit("multi_valued", [None, [], [None]], kind="hashed", buckets=2)
    told = "f: got min_count 4, but of 2 values in train none occurs more than 3 times"
    with pytest.raises(InvalidInputError, match=told):
        fit("categorical", ["a", "a", "b", None, "a"], kind="values", min_count=4)
    with pytest.raises(InvalidInputError, match=told):
        fit("numeric", [0.5, 0.25, 0.125, 3.0], kind="log2", min_count=4)
