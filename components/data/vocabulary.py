"""Ids as numbers."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Codes = npt.NDArray[np.int32]
Counts = npt.NDArray[np.int64]
Chunks = Callable[[], Iterable[pa.Array]]
_COUNTED: Final = 1 << 20  # codes that are counted at a time: numpy makes each of them eight bytes
_DENSE: Final = 4  # places that a table may have for each value, where integers are looked up in one


def encode_sorted(column: pa.ChunkedArray) -> tuple[Codes, pa.Array]:
    """A column without nulls as places in its sorted distinct values (text by its UTF-8 bytes): int32 of its
    length, and those values."""
    return encode_chunks(lambda: column.chunks, len(column), column.type)


def encode_chunks(chunks: Chunks, num_rows: int, kind: pa.DataType) -> tuple[Codes, pa.Array]:
    """The same for a column that is read anew for each look at it: where its values are integers that lie
    close together, or ascend, it need not fit in memory."""
    if pa.types.is_integer(kind):
        found = [pc.min_max(chunk).as_py() for chunk in chunks() if len(chunk)]
        least = min((each["min"] for each in found), default=0)
        size = max((each["max"] for each in found), default=-1) + 1 - least
        if size < _DENSE * num_rows:
            return _encode_dense(chunks, num_rows, kind, least, size)
    if all(_ascends(last, chunk) for last, chunk in _with_last(chunks())):
        return _encode_runs(chunks, num_rows, kind)
    encoded = pa.chunked_array(list(chunks()), kind).dictionary_encode().chunks  # one dictionary for all
    values = encoded[0].dictionary
    order = pc.sort_indices(values).to_numpy()
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    code_N = _joined((place[chunk.indices.to_numpy()] for chunk in encoded), num_rows)
    return code_N, values.take(pa.array(order))


def _encode_dense(
    chunks: Chunks, num_rows: int, kind: pa.DataType, least: int, size: int
) -> tuple[Codes, pa.Array]:
    """By a table of all integers in the range: no hashing, and no sorting."""
    there = np.zeros(size, bool)
    for chunk in chunks():
        there[chunk.to_numpy() - least] = True
    place = np.cumsum(there, dtype=np.int32) - np.int32(1)
    code_N = _joined((place[chunk.to_numpy() - least] for chunk in chunks()), num_rows)
    return code_N, pa.array(np.flatnonzero(there) + least, kind)


def _encode_runs(chunks: Chunks, num_rows: int, kind: pa.DataType) -> tuple[Codes, pa.Array]:
    """Of what is sorted already."""
    values = [pa.array([], kind)]

    def codes() -> Iterator[Codes]:
        count = 0
        for last, chunk in _with_last(chunks()):
            rows = pa.concat_arrays([last, chunk])
            starts = np.ones(len(chunk), bool)
            starts[1 - len(last) :] = pc.not_equal(rows[1:], rows[:-1]).to_numpy(zero_copy_only=False)
            values.append(chunk.filter(pa.array(starts)))
            yield np.cumsum(starts, dtype=np.int32) + np.int32(count - 1)
            count += len(values[-1])

    code_N = _joined(codes(), num_rows)
    return code_N, pa.concat_arrays(values)


def _joined(codes: Iterable[Codes], num_rows: int) -> Codes:
    """At once where they belong: many small arrays would leave holes in memory that the system gets no more
    back."""
    code_N: Codes = np.empty(num_rows, np.int32)
    start = 0
    for some in codes:
        code_N[start : start + len(some)] = some
        start += len(some)
    return code_N


def _ascends(last: pa.Array, chunk: pa.Array) -> bool:
    rows = pa.concat_arrays([last, chunk])
    return not pc.any(pc.less(rows[1:], rows[:-1])).as_py()


def _with_last(chunks: Iterable[pa.Array]) -> Iterator[tuple[pa.Array, pa.Array]]:
    """Each chunk that is not empty, behind the last value of the one before it; none before the first."""
    some = (chunk for chunk in chunks if len(chunk))
    for before, chunk in pairwise(chain([None], some)):
        yield chunk[:0] if before is None else before[-1:], chunk


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
