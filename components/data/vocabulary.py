"""Ids as numbers."""

from typing import final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Codes = npt.NDArray[np.int32]


@final
class Vocabulary:
    """Numbers the values it meets in the order in which it meets them; null is -1."""

    def __init__(self, kind: pa.DataType) -> None:
        self._values = pa.array([], kind)

    def encode(self, values: pa.Array) -> Codes:
        """The number of every value, int32; new values are added."""
        encoded = values.cast(self._values.type).dictionary_encode()
        known = pc.index_in(encoded.dictionary, self._values)
        new = encoded.dictionary.filter(known.is_null())
        number = known.fill_null(-1).to_numpy(zero_copy_only=False).copy()
        number[number < 0] = len(self._values) + np.arange(len(new))
        self._values = pa.concat_arrays([self._values, new])
        code: Codes = encoded.indices.fill_null(len(number)).to_numpy()
        return np.append(number, -1).astype(np.int32)[code]

    @property
    def values(self) -> pa.Array:
        """The values by their numbers."""
        return self._values

    def sorted(self) -> tuple[pa.Array, Codes]:
        """The values in their order (text by its UTF-8 bytes), and each number's place in it."""
        order = pc.sort_indices(self._values)
        place = np.empty(len(order), np.int32)
        place[order.to_numpy()] = np.arange(len(order), dtype=np.int32)
        return self._values.take(order), place


def encode_sorted(column: pa.ChunkedArray) -> tuple[Codes, pa.Array]:
    """A column as places in its sorted distinct values: int32 of its length, and those values."""
    vocabulary = Vocabulary(column.type)
    codes = [vocabulary.encode(chunk) for chunk in column.chunks]
    values, place = vocabulary.sorted()
    return place[np.concatenate([np.empty(0, np.int32), *codes])], values
