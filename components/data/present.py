"""The values that stand in a field's column, whatever its kind."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Rows = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]


def present(column: pa.Array) -> tuple[Rows, pa.Array]:
    """The values that are there, and the rows in which they stand, which ascend: one for each row of text or
    numbers that has one, any number for a row of lists. Null is missing, and so is NaN; −0 is 0."""
    if pa.types.is_list(column.type):
        row_V, values = pc.list_parent_indices(column).to_numpy(), pc.list_flatten(column)
    else:
        row_V, values = np.arange(len(column)), column
    if pa.types.is_floating(values.type):
        values = pa.array(values.to_numpy(zero_copy_only=False) + 0.0, from_pandas=True)
    if values.null_count:
        there = values.is_valid()
        row_V, values = row_V[there.to_numpy(zero_copy_only=False)], values.filter(there)
    return row_V, values


def distinct_in_rows(row_V: Rows, code_V: Codes) -> tuple[Rows, Codes]:
    """Each code of a row once, sorted by row and then by code; codes are not negative."""
    key_V = np.sort(row_V << 32 | code_V)
    key_V = key_V[np.diff(key_V, prepend=-1) > 0]
    return key_V >> 32, (key_V & 0xFFFFFFFF).astype(np.int32)
