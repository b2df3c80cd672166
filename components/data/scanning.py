"""Questions to tables on disk, answered without holding them in memory."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from components.core.columns import TIMESTAMP
from components.data.parquet import TableFile

_PART_ROWS: Final = 1 << 20


def scan_table(path: Path) -> pl.LazyFrame:
    """The table in a file; nothing in the path's name becomes a column."""
    return pl.scan_parquet(path, hive_partitioning=False, glob=False)


def count_values(table: pl.LazyFrame, column: str) -> pl.DataFrame:
    """The values of a column in their order, and as `count` how often each occurs."""
    counted = table.group_by(column).agg(pl.len().alias("count"))
    return counted.collect(engine="streaming").sort(column)


def time_range(table: pl.LazyFrame) -> tuple[int, int] | None:
    """Of the first and the last row, in seconds since 1970; None without timestamps."""
    if TIMESTAMP not in table.collect_schema():
        return None
    time = pl.col(TIMESTAMP)
    first, last = table.select(time.min().alias("first"), time.max()).collect(engine="streaming").row(0)
    return first, last


def num_repeated(file: TableFile, columns: Sequence[str]) -> int:
    """How many rows are equal to an earlier one, but for collisions of 64 bits; holds eight bytes a row."""
    hash_N = np.empty(file.num_rows, np.uint64)
    start = 0
    for part in file.parts(columns):
        hash_N[start : start + part.num_rows] = pl.DataFrame(part).hash_rows().to_numpy()
        start += part.num_rows
    hash_N.sort()
    return int(np.count_nonzero(hash_N[1:] == hash_N[:-1]))


def num_out_of_order(file: TableFile, *columns: str) -> int:
    """How many rows do not come after the row before them; of equals the second does not."""
    return _count_steps(file, columns, back_only=False)


def parts_of(file: TableFile, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Some columns in parts of consecutive rows; at least one part."""
    if file.num_rows:
        yield from file.parts(columns, _PART_ROWS)
    else:
        yield file.read(columns)


def parts_by(file: TableFile, column: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Some columns in parts of consecutive rows, between which a value of `column` never stands in two; at
    least one part. A table that is not sorted by it is one part."""
    if file.num_rows <= _PART_ROWS or _count_steps(file, [column], back_only=True):
        yield file.read(columns)
        return
    waiting: list[pa.Table] = []
    for part in file.parts(columns, _PART_ROWS):
        keys = pl.Series(part[column])
        last = int(keys.search_sorted(keys[-1]))  # where the last value starts, which may go on
        if last:
            yield pa.concat_tables([*waiting, part.slice(0, last)])
            waiting = []
        waiting.append(part.slice(last))
    yield pa.concat_tables(waiting)


def _count_steps(file: TableFile, columns: Sequence[str], *, back_only: bool) -> int:
    count = 0
    before: list[pl.DataFrame] = []
    for part in file.parts(columns):
        rows = pl.concat([*before, pl.DataFrame(part)])
        before = [rows.tail(1)]
        count += int(rows.select(_steps(columns, back_only=back_only).slice(1).sum()).item())
    return count


def _steps(columns: Sequence[str], *, back_only: bool) -> pl.Expr:
    """Whether a row comes before the one before it, or is equal to it; null is in no order."""
    wrong = pl.lit(not back_only)
    for name in reversed(columns):
        here, before = pl.col(name), pl.col(name).shift()
        wrong = (here < before) | ((here == before) & wrong)
    return wrong.fill_null(True)
