"""Ids as numbers."""

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from components.data.vocabulary import count_codes, encode_sorted, without_holes


@settings(deadline=None)
@given(chunks=st.lists(st.lists(st.text(max_size=3), max_size=8), max_size=5))
def test_codes_are_places_in_the_sorted_values(chunks: list[list[str]]) -> None:
    codes, values = encode_sorted(pa.chunked_array(chunks, pa.string()))
    flat = [value for chunk in chunks for value in chunk]
    assert values.to_pylist() == sorted(set(flat), key=str.encode)
    assert [values[code].as_py() for code in codes] == flat


@given(
    chunks=st.lists(
        st.lists(st.integers(-5, 30) | st.just(2**62) | st.just(-(2**63)), max_size=8), max_size=5
    )
)
def test_integers_near_each_other_or_far_apart(chunks: list[list[int]]) -> None:
    codes, values = encode_sorted(pa.chunked_array(chunks, pa.int64()))
    flat = [value for chunk in chunks for value in chunk]
    assert values.to_pylist() == sorted(set(flat))
    assert [values[code].as_py() for code in codes] == flat


@given(codes=st.lists(st.integers(0, 9), max_size=30))
def test_values_without_codes_leave_no_holes(codes: list[int]) -> None:
    values = pa.array([10 * code for code in range(10)])
    code_N, left = without_holes(np.array(codes, np.int32), values)
    assert left.to_pylist() == [10 * code for code in sorted(set(codes))]
    assert [left[code].as_py() for code in code_N] == [10 * code for code in codes]
    assert count_codes(code_N).tolist() == [codes.count(code) for code in sorted(set(codes))]
