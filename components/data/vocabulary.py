"""Ids as numbers."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Codes = npt.NDArray[np.int32]
Counts = npt.NDArray[np.int64]
_COUNTED: Final = 1 << 20  # codes that are counted at a time: numpy makes each of them eight bytes
_DENSE: Final = 4  # places that a table may have for each value, where integers are looked up in one


def encode_sorted(column: pa.ChunkedArray) -> tuple[Codes, pa.Array]:
    """A column without nulls as places in its sorted distinct values (text by its UTF-8 bytes): int32 of its
    length, and those values."""
    if pa.types.is_integer(column.type) and len(column):
        bounds = pc.min_max(column).as_py()
        if bounds["max"] - bounds["min"] < _DENSE * len(column):
            return _encode_dense(column, bounds["min"], bounds["max"] + 1 - bounds["min"])
    chunks = column.dictionary_encode().chunks  # one dictionary for all
    values = chunks[0].dictionary if chunks else pa.array([], column.type)
    order = pc.sort_indices(values).to_numpy()
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    return _filled(chunks, lambda chunk: place[chunk.indices.to_numpy()]), values.take(pa.array(order))


def _encode_dense(column: pa.ChunkedArray, least: int, size: int) -> tuple[Codes, pa.Array]:
    """By a table of all integers in the range: no hashing, and no sorting."""
    there = np.zeros(size, bool)
    for chunk in column.chunks:
        there[chunk.to_numpy() - least] = True
    place = np.cumsum(there, dtype=np.int32) - np.int32(1)
    values = pa.array(np.flatnonzero(there) + least, column.type)
    return _filled(column.chunks, lambda chunk: place[chunk.to_numpy() - least]), values


def _filled(chunks: Sequence[pa.Array], codes: Callable[[pa.Array], Codes]) -> Codes:
    code_N: Codes = np.empty(sum(map(len, chunks)), np.int32)
    start = 0
    for chunk in chunks:
        code_N[start : start + len(chunk)] = codes(chunk)
        start += len(chunk)
    return code_N


def count_codes(code_N: Codes, size: int = 0) -> Counts:
    """How often each code occurs, for `size` codes at least."""
    count: Counts = np.zeros(max(size, int(code_N.max(initial=-1)) + 1), np.int64)
    for start in range(0, len(code_N), _COUNTED):
        count += np.bincount(code_N[start : start + _COUNTED], minlength=len(count))
    return count


def without_holes(code_N: Codes, values: pa.Array) -> tuple[Codes, pa.Array]:
    """The same codes and values without the values that no code stands for."""
    there = count_codes(code_N, len(values)) > 0
    if there.all():
        return code_N, values
    place = np.cumsum(there, dtype=np.int32) - np.int32(1)
    return place[code_N], values.filter(pa.array(there))
