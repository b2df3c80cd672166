"""What users did before each example, from the examples themselves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.core.columns import LABEL, TIMESTAMP
from components.core.recipe.examples import EarlierExamples, history_of
from components.data.parquet import TableFile, TableWriter

Numbers = npt.NDArray[np.int64]
_NONE: Final = -1  # the code of a missing value
_VALUES_AT_ONCE: Final = 1 << 22  # of histories: an array holds no more than 2 GB of text


def add_histories(history: EarlierExamples, classes: Sequence[str], table: Path, columns: pa.Schema) -> Path:
    """Write a table of examples anew, with a history of each field that behaviours consist of. A behaviour
    without any value is none. In memory stand numbers: two for each example, one for each field of each.

    Args:
        classes: of the labels, by their places.
        table: in which the histories are missing.
        columns: of the new table.

    Returns:
        Where it lies.
    """
    file, path = TableFile(table), table.with_name("with_histories.parquet")
    user_N, _ = _codes(file, history.by)
    fields = {name: _codes(file, name) for name in history.fields}
    happened_N = (user_N != _NONE) & np.any([code_N != _NONE for code_N, _ in fields.values()], axis=0)
    if history.classes is not None:
        happened_N &= np.isin(file.values(LABEL), [classes.index(name) for name in history.classes])
    behaviour_V, begin_N, end_N = _places(user_N, file.values(TIMESTAMP), happened_N, history.length)
    others = [name for name in columns.names if name in file.schema.names]
    start = 0
    with TableWriter(path, columns) as writer:
        for part in file.parts(others, max(1, _VALUES_AT_ONCE // history.length)):
            here = slice(start, start + part.num_rows)
            start += part.num_rows
            place_V, offset_N = _within(begin_N[here], end_N[here])
            row_V = behaviour_V[place_V]
            found = {history_of(name): _lists(offset_N, *codes, row_V) for name, codes in fields.items()}
            everything: Mapping[str, pa.Array] = {name: part[name] for name in others} | found
            writer.write(pa.table([everything[name] for name in columns.names], schema=columns))
    return path


def _codes(file: TableFile, name: str) -> tuple[Numbers, pa.Array]:
    """The values of a column of text as numbers, and what they stand for; the text is read a part at a
    time."""
    encoded = [part[name].combine_chunks().dictionary_encode() for part in file.parts([name])]
    chunks = pa.chunked_array(encoded, pa.dictionary(pa.int32(), pa.string())).unify_dictionaries().chunks
    codes = [chunk.indices.fill_null(_NONE).to_numpy() for chunk in chunks]
    values = chunks[0].dictionary if chunks else pa.array([], pa.string())
    return np.concatenate([np.empty(0, np.int64), *codes]).astype(np.int64), values


def _places(
    user_N: Numbers, time_N: Numbers, happened_N: npt.NDArray[np.bool_], length: int
) -> tuple[Numbers, Numbers, Numbers]:
    """The rows of the behaviours (V,) by user, then time, then row; and where in them the history of each
    row begins and ends."""
    _, moment_N = np.unique(time_N, return_inverse=True)
    key_N = user_N * (int(moment_N.max(initial=0)) + 1) + moment_N
    behaviour_V = np.flatnonzero(happened_N)
    behaviour_V = behaviour_V[np.argsort(key_N[behaviour_V], kind="stable")]
    end_N = np.searchsorted(key_N[behaviour_V], key_N)
    first_N = np.searchsorted(user_N[behaviour_V], user_N)
    return behaviour_V, np.maximum(first_N, end_N - length), np.maximum(first_N, end_N)


def _within(begin_N: Numbers, end_N: Numbers) -> tuple[Numbers, npt.NDArray[np.int32]]:
    """All places from each beginning to each end, one after another, and where those of each begin."""
    offset_N = np.concatenate([[0], np.cumsum(end_N - begin_N)])
    step_V = np.arange(offset_N[-1]) - np.repeat(offset_N[:-1], np.diff(offset_N))
    return step_V + np.repeat(begin_N, np.diff(offset_N)), offset_N.astype(np.int32)


def _lists(
    offset_N: npt.NDArray[np.int32], code_R: Numbers, values: pa.Array, row_V: Numbers
) -> pa.ListArray:
    """The values of some rows as lists, null for an empty one."""
    code_V = code_R[row_V]
    taken = values.take(pa.array(code_V, mask=code_V == _NONE))
    empty_N = pa.array(np.diff(offset_N) == 0)
    return pa.ListArray.from_arrays(offset_N, taken, mask=empty_N)
