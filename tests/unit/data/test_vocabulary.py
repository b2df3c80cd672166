"""Ids as numbers."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from components.data.vocabulary import encode_sorted


@given(chunks=st.lists(st.lists(st.text(max_size=3), max_size=8), max_size=5))
def test_codes_are_places_in_the_sorted_values(chunks: list[list[str]]) -> None:
    codes, values = encode_sorted(pa.chunked_array(chunks, pa.string()))
    flat = [value for chunk in chunks for value in chunk]
    assert values.to_pylist() == sorted(set(flat), key=str.encode)
    assert [values[code].as_py() for code in codes] == flat
