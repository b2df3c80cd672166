"""Interactions while they are gathered: at the end one row per pair, in order, a range of users at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import polars as pl
import pyarrow as pa

from components.core.columns import (
    CONTENT,
    FILE,
    ITEM_ID,
    LINE,
    PART,
    POSITION,
    RATING,
    REASON,
    TIMESTAMP,
    USER_ID,
)

REJECTED: Final = pa.schema(
    [(FILE, pa.string()), (LINE, pa.int64()), (REASON, pa.string()), (CONTENT, pa.string())]
)
_PAIR: Final = [USER_ID, ITEM_ID]
_RANGE_BYTES: Final = 64 << 20  # of rows that are sorted at a time
_SAMPLED: Final = 1009  # every so manieth row says where ranges of users may end


@dataclass(frozen=True)
class Distinct:
    """One row per pair of user and item, sorted by both, for a range of users.

    Attributes:
        frame: the columns of the interactions table; `part` is still a place in PARTS.
        num_duplicates: rows that gave way to another row of their pair.
        clashes: file and line (numbers), user_id and item_id of the rows whose pair stands in an
            earlier part already.
    """

    frame: pl.DataFrame
    num_duplicates: int
    clashes: pl.DataFrame


@final
class Gathering:
    """Rows as they arrive. What is more than `range_bytes` waits on disk, so memory does not grow with it.

    Frames hold user_id, item_id, [rating], [timestamp], [position], text columns, and where the source has
    parts `part` (int8, its place in PARTS), `file` (int32) and `line` (int64).
    """

    def __init__(self, scratch: Path, *, range_bytes: int = _RANGE_BYTES) -> None:
        self._scratch, self._range_bytes = scratch, range_bytes
        self._waiting: list[pl.DataFrame] = []
        self._waiting_bytes = self._spilled_bytes = 0
        self._spilled: list[Path] = []
        self._users: list[pl.Series] = []

    def add(self, frame: pl.DataFrame) -> None:
        """Take some more rows."""
        self._waiting.append(frame)
        self._waiting_bytes += int(frame.estimated_size())
        self._users.append(frame[USER_ID].gather_every(_SAMPLED))
        if self._waiting_bytes > self._range_bytes:
            self._spill()

    def distinct(self) -> Iterator[Distinct]:
        """Reduce to one row per pair: of the earliest part, then the latest, then the best rated; what is
        still equal is decided by the other columns' values. So neither order nor files matter.

        Yields:
            Ranges of users in their order: integers, or text by its UTF-8 bytes. Each fits in memory
            unless a single user's rows do not.
        """
        if not self._spilled:
            yield _distinct(pl.concat(self._waiting))
            return
        if self._waiting:
            self._spill()
        for path in self._by_user():
            yield _distinct(_read(path))

    def _spill(self) -> None:
        path = self._scratch / f"rows-{len(self._spilled)}"
        file = _Appender(path)
        for frame in self._waiting:
            file.append(frame)
        file.close()
        self._spilled.append(path)
        self._spilled_bytes += self._waiting_bytes
        self._waiting.clear()
        self._waiting_bytes = 0

    def _by_user(self) -> Iterator[Path]:
        """Files with the rows of consecutive ranges of users; each is removed when the next is asked for."""
        users = pl.concat(self._users).sort()
        num_ranges = -(-self._spilled_bytes // self._range_bytes)
        ends = users.gather([len(users) * n // num_ranges for n in range(1, num_ranges)]).unique().sort()
        files = [_Appender(self._scratch / f"users-{n}") for n in range(len(ends) + 1)]
        for spilled in self._spilled:
            rows = _read(spilled)
            spilled.unlink()
            place = ends.search_sorted(rows[USER_ID], side="right").alias("range")
            parts = rows.with_columns(place).partition_by("range", as_dict=True, include_key=False)
            for (number,), part in parts.items():
                files[number].append(part)
        for file in files:
            file.close()
        for file in files:
            if file.path.exists():
                yield file.path
                file.path.unlink()


@final
class _Appender:
    """A file of rows in Arrow's form, made when the first come."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer: pa.RecordBatchStreamWriter | None = None

    def append(self, frame: pl.DataFrame) -> None:
        # The newest form of text would bring along all the text of the frame that this one was cut from.
        table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        if self._writer is None:
            self._writer = pa.ipc.new_stream(self.path, table.schema)
        self._writer.write_table(table)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _read(path: Path) -> pl.DataFrame:
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as stream:
        return pl.DataFrame(stream.read_all())


def _distinct(rows: pl.DataFrame) -> Distinct:
    rows = _prefer(rows)
    first = rows.select(pl.any_horizontal(pl.col(_PAIR) != pl.col(_PAIR).shift()).fill_null(True)).to_series()
    clashes = _clashes(rows, first)
    return Distinct(
        frame=rows.filter(first).drop(FILE, LINE, strict=False),
        num_duplicates=len(rows) - int(first.sum()) - len(clashes),
        clashes=clashes,
    )


def _prefer(rows: pl.DataFrame) -> pl.DataFrame:
    """Sorted so that of each pair the row to keep comes first."""
    descending = {PART: False, TIMESTAMP: True, POSITION: True, RATING: True}
    order = [*_PAIR, *(column for column in descending if column in rows.columns)]
    order += [column for column in rows.columns if column not in order]
    return rows.sort(order, descending=[descending.get(column, False) for column in order])


def _clashes(rows: pl.DataFrame, first: pl.Series) -> pl.DataFrame:
    if PART not in rows.columns:
        return pl.DataFrame()
    pair = (first.cum_sum() - 1).to_numpy()
    kept = rows.filter(first)[PART].to_numpy()[pair]
    return rows.filter(pl.Series(rows[PART].to_numpy() > kept)).select(FILE, LINE, *_PAIR)
