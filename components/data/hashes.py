"""Numbers of 64 bits that depend on content and on nothing else: no place, no platform, no version of a
library."""

import hashlib
from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.data.present import distinct_in_rows, present

Hashes = npt.NDArray[np.uint64]
_AT_ONCE: Final = 1 << 16  # texts that are Python's at a time
_MISSING: Final = np.uint64(0x9E3779B97F4A7C15)


def hash_texts(values: pa.Array) -> Hashes:
    """BLAKE2b of each text's UTF-8 bytes; of an integer its decimal digits. No value may be missing."""
    hash_N = np.empty(len(values), np.uint64)
    for start in range(0, len(values), _AT_ONCE):
        some = values[start : start + _AT_ONCE].to_pylist()
        digests = [hashlib.blake2b(str(value).encode(), digest_size=8).digest() for value in some]
        hash_N[start : start + len(some)] = np.frombuffer(b"".join(digests), "<u8")
    return hash_N


def mixed(x_N: Hashes) -> Hashes:
    """The finaliser of SplitMix64, a bijection in which every bit depends on all (Steele et al. 2014)."""
    x_N = (x_N ^ (x_N >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x_N = (x_N ^ (x_N >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x_N ^ (x_N >> np.uint64(31))


def hash_rows(columns: Iterable[pa.Array]) -> Hashes:
    """Of the values that N rows have in some columns, at least one, of text, float64 or lists of text. In a
    list neither order nor repetition counts.

    Returns:
        (N,).
    """
    hash_N = np.zeros(1, np.uint64)
    for column in columns:
        hash_N = mixed(hash_N + _hash_column(column))
    return hash_N


def _hash_column(column: pa.Array) -> Hashes:
    row_V, values = present(column)
    hash_N = np.full(len(column), _MISSING)
    if pa.types.is_floating(values.type):
        hash_N[row_V] = mixed(values.to_numpy().view(np.uint64))
        return hash_N
    encoded = values.dictionary_encode()
    hash_U, code_V = mixed(hash_texts(encoded.dictionary)), encoded.indices.to_numpy()
    if not pa.types.is_list(column.type):
        hash_N[row_V] = hash_U[code_V]
    elif len(row_V):
        row_V, code_V = distinct_in_rows(row_V, code_V)
        start_R = np.flatnonzero(np.diff(row_V, prepend=-1))
        hash_N[row_V[start_R]] = mixed(np.add.reduceat(hash_U[code_V], start_R))
    return hash_N
