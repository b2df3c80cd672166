"""Hashes that last."""

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from components.data import hashes
from components.data.hashes import hash_rows, hash_texts, mixed

TEXTS = st.none() | st.text(max_size=2)
LISTS = st.none() | st.lists(TEXTS, max_size=4)
NUMBERS = st.none() | st.sampled_from([0.0, -0.0, 1.5, float("nan"), float("inf")])
ROWS = st.lists(st.tuples(TEXTS, NUMBERS, LISTS), min_size=1, max_size=12)


def columns(rows: list[tuple[Any, ...]]) -> list[pa.Array]:
    text, number, several = zip(*rows, strict=True)
    kinds = (pa.string(), pa.float64(), pa.list_(pa.string()))
    return [pa.array(values, kind) for values, kind in zip((text, number, several), kinds, strict=True)]


def meaning(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a row's hash may depend on."""
    text, number, several = row
    known = None if number is None or number != number else number + 0.0
    return text, known, frozenset(value for value in several or () if value is not None)


def test_texts_are_hashed_by_their_bytes() -> None:
    texts = ["", "a", "ä", "68fd1e64", "日本"] * 3
    expected = [
        int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") for text in texts
    ]
    assert hash_texts(pa.array(texts)).tolist() == expected
    assert hash_texts(pa.array([12, -3])).tolist() == hash_texts(pa.array(["12", "-3"])).tolist()


def test_long_columns_are_hashed_in_parts(monkeypatch) -> None:
    texts = pa.array([str(number) for number in range(50)])
    whole = hash_texts(texts)
    monkeypatch.setattr(hashes, "_AT_ONCE", 7)
    assert hash_texts(texts).tolist() == whole.tolist()


def test_mixing_is_that_of_splitmix64() -> None:
    """The first numbers of the generator from 0, as its authors' code gives them."""
    state = np.arange(1, 4, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    assert [hex(number) for number in mixed(state)] == [
        "0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4", "0x6c45d188009454f",
    ]  # fmt: skip


@given(rows=ROWS)
def test_rows_are_equal_where_their_values_are(rows: list[tuple[Any, ...]]) -> None:
    found = hash_rows(columns(rows)).tolist()
    meanings = [meaning(row) for row in rows]
    for one, left in zip(found, meanings, strict=True):
        for other, right in zip(found, meanings, strict=True):
            assert (one == other) == (left == right)


@given(rows=ROWS, data=st.data())
def test_a_row_has_the_same_hash_in_any_company(rows: list[tuple[Any, ...]], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(rows))))
    found = hash_rows(columns(rows))
    assert hash_rows(columns([rows[place] for place in order])).tolist() == found[order].tolist()
    assert hash_rows(columns(rows[:1])).tolist() == found[:1].tolist()


def test_hashes_of_rows_are_the_same_everywhere() -> None:
    """Against whole numbers of Python."""

    def mix(x: int) -> int:
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB % 2**64
        return x ^ (x >> 31)

    def text(value: str) -> int:
        return mix(int.from_bytes(hashlib.blake2b(value.encode(), digest_size=8).digest(), "little"))

    missing, of_two_and_a_half = 0x9E3779B97F4A7C15, mix(0x4004000000000000)
    several = mix((text("x") + text("y")) % 2**64)
    rows = [("ad", 2.5, ["y", "x", "y"]), (None, None, [])]
    expected = []
    for parts in ([text("ad"), of_two_and_a_half, several], [missing] * 3):
        row = 0
        for part in parts:
            row = mix((row + part) % 2**64)
        expected.append(row)
    assert hash_rows(columns(rows)).tolist() == expected


def test_values_that_change_fields_are_another_row() -> None:
    one, other = (hash_rows([pa.array([a]), pa.array([b])]) for a, b in (("x", "y"), ("y", "x")))
    assert one != other
