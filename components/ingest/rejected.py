"""Rows that cannot be used, while they are gathered and when they are told."""

from collections.abc import Sequence
from typing import Final, final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from components.core.columns import FILE, ITEM_ID, LINE, REASON, USER_ID
from components.data.formats.raw import Rejected
from components.data.interactions import REJECTED

_MAX_CONTENT: Final = 200  # characters of a row that are kept
_CLASH: Final = "the pair stands in an earlier part"
# As REJECTED, but a file is a number and a reason stands once.
_GATHERED: Final = REJECTED.set(0, pa.field(FILE, pa.int32())).set(
    2, pa.field(REASON, pa.dictionary(pa.int32(), pa.string()))
)


@final
class RejectedRows:
    """Rejected rows as they come, in Arrow's memory: of a large delivery in a wrong format there are many."""

    def __init__(self) -> None:
        self._tables = [_GATHERED.empty_table()]

    def add(self, file: int, rows: Sequence[Rejected]) -> None:
        """Take some of the file with this number."""
        if not rows:
            return
        lines, reasons, contents = zip(*rows, strict=True)
        self._append(pa.repeat(file, len(rows)), lines, reasons, [text[:_MAX_CONTENT] for text in contents])

    def add_clashes(self, clashes: pl.DataFrame) -> None:
        """Take what `Distinct` calls clashes."""
        if clashes.is_empty():
            return
        pair = pl.format("{}, {}", USER_ID, ITEM_ID).str.slice(0, _MAX_CONTENT)
        files, lines, contents = (column.to_arrow() for column in clashes.select(FILE, LINE, pair))
        self._append(files, lines, pa.repeat(_CLASH, len(clashes)), contents)

    def _append(self, *columns: Sequence[int | str] | pa.Array) -> None:
        arrays = [pa.array(column) for column in columns]
        self._tables.append(pa.table(arrays, _GATHERED.names).cast(_GATHERED))

    def to_table(self, files: Sequence[str]) -> pa.Table:
        """All of them by file, in the order of these names, and line; `write_table` resolves what is a
        dictionary."""
        table = pa.concat_tables(self._tables).unify_dictionaries()
        self._tables = [_GATHERED.empty_table()]
        table = table.take(pc.sort_indices(table, sort_keys=[(FILE, "ascending"), (LINE, "ascending")]))
        names = pa.DictionaryArray.from_arrays(table[FILE].combine_chunks(), pa.array(files, pa.string()))
        return table.set_column(0, FILE, names)


def count_reasons(rejected: pa.Table) -> dict[str, int]:
    """Reason → rows, the most frequent first, equals in the order of the table."""
    counted = pc.value_counts(rejected[REASON].cast(pa.string())).to_pylist()
    return {row["values"]: row["counts"] for row in sorted(counted, key=lambda row: -row["counts"])}


def first_of(rejected: pa.Table, reason: str) -> dict[str, str | int]:
    """The first row that was rejected for this reason."""
    place = pc.index(rejected[REASON].cast(pa.string()), reason).as_py()
    row: dict[str, str | int] = rejected.slice(place, 1).to_pylist()[0]
    return row
