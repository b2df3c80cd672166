"""Some of the interactions of a file: ids in memory as numbers, all else left where it lies."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.core.columns import ITEM_ID, USER_ID
from components.data.parquet import TableFile
from components.data.vocabulary import Codes, encode_chunks, encode_sorted, without_holes

Mask = npt.NDArray[np.bool_]
_AT_ONCE: Final = 1 << 24  # rows whose ids may stand in memory while they become numbers


@final
@dataclass(frozen=True)
class Rows:
    """N interactions of a file, in its order.

    Attributes:
        chosen: for each row of the file, whether it is one of them; None for all.
        user_N, item_N: places in `user_ids` and `item_ids`, the sorted raw ids without others.
    """

    file: TableFile
    chosen: Mask | None
    user_N: Codes
    item_N: Codes
    user_ids: pa.Array
    item_ids: pa.Array

    def __len__(self) -> int:
        return len(self.user_N)

    def values(self, column: str) -> npt.NDArray[Any]:
        """Another column of theirs, of numbers without nulls."""
        return self.file.values(column, self.chosen)

    def parts(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Other columns of theirs, a part at a time."""
        return self.file.parts(columns, chosen=self.chosen)

    def keep(self, stays_N: Mask) -> "Rows":
        """Those for which `stays_N` is true."""
        if stays_N.all():
            return self
        if self.chosen is None:
            chosen = stays_N
        else:
            chosen = self.chosen.copy()
            chosen[self.chosen] = stays_N
        user_N, user_ids = without_holes(self.user_N[stays_N], self.user_ids)
        item_N, item_ids = without_holes(self.item_N[stays_N], self.item_ids)
        return Rows(self.file, chosen, user_N, item_N, user_ids, item_ids)


def read_rows(file: TableFile, chosen: Mask | None = None) -> Rows:
    """The interactions of a file, or some of them."""

    def read(name: str) -> tuple[Codes, pa.Array]:
        if file.num_rows <= _AT_ONCE:
            return encode_sorted(file.read([name], chosen)[name])

        def chunks() -> Iterator[pa.Array]:
            for part in file.parts([name], chosen=chosen):
                yield from part[name].chunks

        num_rows = file.num_rows if chosen is None else int(np.count_nonzero(chosen))
        return encode_chunks(chunks, num_rows, file.schema.field(name).type)

    with ThreadPoolExecutor() as pool:
        (user_N, user_ids), (item_N, item_ids) = pool.map(read, (USER_ID, ITEM_ID))
    return Rows(file, chosen, user_N, item_N, user_ids, item_ids)
