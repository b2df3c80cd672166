"""What stands in the parts of a dataset, counted anew."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.data.parquet import TableFile
from components.data.present import distinct_in_rows, present
from components.data.vocabulary import Counts


@final
@dataclass
class Recount:
    """Of one field in one part.

    Attributes:
        size: codes are 0 … size − 1.
        count_S: examples with each of the first S codes, those that are counted.
        not_codes: values that are none of the codes; null is none.
        repeats: whether an example may repeat a code: a history may.
        not_sets: of a field with several values: codes that an example repeats, and examples without any.
        longest: the most codes of an example.
    """

    size: int
    count_S: Counts
    repeats: bool = False
    not_codes: int = 0
    not_sets: int = 0
    longest: int = 0

    def add(self, column: pa.Array) -> None:
        """Count the next examples."""
        row_V, values = present(column)
        code_V = values.to_numpy()
        good_V = (code_V >= 0) & (code_V < self.size)
        several = pa.types.is_list(column.type)
        num_values = len(pc.list_flatten(column)) if several else len(column)
        self.not_codes += num_values - int(np.count_nonzero(good_V))
        if several:
            self.not_sets += len(column) - int(np.count_nonzero(np.diff(row_V, prepend=-1)))
            _, distinct_V = distinct_in_rows(row_V[good_V], code_V[good_V])
            if not self.repeats:
                self.not_sets += int(np.count_nonzero(good_V)) - len(distinct_V)
            self.longest = max(self.longest, int(np.bincount(row_V, minlength=1).max()))
            code_V, good_V = distinct_V, np.ones(len(distinct_V), bool)
        counted_V = code_V[good_V & (code_V < len(self.count_S))]
        self.count_S += np.bincount(counted_V, minlength=len(self.count_S))


def recount(
    table: TableFile, sizes: Mapping[str, int], counted: Mapping[str, int], histories: Collection[str] = ()
) -> dict[str, Recount]:
    """Each field of a part.

    Args:
        sizes: field → how many codes there are.
        counted: field → how many of its codes, the first ones, are counted.
        histories: the fields that are histories.
    """
    found = {
        name: Recount(size, np.zeros(counted[name], np.int64), repeats=name in histories)
        for name, size in sizes.items()
    }
    for part in table.parts(list(sizes)):
        for name, of_field in found.items():
            of_field.add(part[name].combine_chunks())
    return found
