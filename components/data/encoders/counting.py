"""The values of a field, and how many examples have each."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.core.columns import COUNT, VALUE
from components.data.present import distinct_in_rows, present
from components.data.vocabulary import Counts

_WAITING: Final = 1 << 20  # values of different parts that wait, at least, before they are added up


@final
@dataclass(frozen=True)
class Counted:
    """V distinct values, ascending (text by its UTF-8 bytes), and the number of examples with each."""

    values: pa.Array
    count_V: Counts


def count_values(parts: Iterable[pa.Array]) -> Counted:
    """Of a column that comes in parts, at least one. What is missing does not count, and what one example
    repeats counts once. Memory is for the distinct values."""
    waiting: list[pa.Table] = []
    num_added = 0
    for part in parts:
        waiting.append(_count(part))
        if sum(map(len, waiting)) > num_added + max(_WAITING, num_added):
            waiting = [_added(waiting)]
            num_added = len(waiting[0])
    table = _added(waiting).sort_by(VALUE).combine_chunks()
    return Counted(table[VALUE].combine_chunks(), table[COUNT].to_numpy())


def _count(part: pa.Array) -> pa.Table:
    row_V, values = present(part)
    encoded = values.dictionary_encode()
    code_V = encoded.indices.to_numpy()
    if pa.types.is_list(part.type):
        _, code_V = distinct_in_rows(row_V, code_V)
    count_U = np.bincount(code_V, minlength=len(encoded.dictionary))
    return pa.table({VALUE: encoded.dictionary, COUNT: count_U})


def _added(tables: list[pa.Table]) -> pa.Table:
    added = pa.concat_tables(tables).group_by(VALUE).aggregate([(COUNT, "sum")])
    return pa.table({VALUE: added[VALUE], COUNT: pc.cast(added[f"{COUNT}_sum"], pa.int64())})
