"""Items that are seen together in sessions."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from components.core.columns import ITEM_ID, USER_ID
from components.core.errors import InvalidInputError
from components.core.recipe.source import SessionsSource
from components.data.normalize import Rows
from components.data.vocabulary import encode_sorted
from components.ingest import files
from components.ingest.batch import Batch

_CHUNK: Final = 4_000_000  # pairs that are made, or handed on, at a time
_SESSION, _ITEM, _OTHER, _COUNT = "session", "item", "other", "count"
_PAIRS: Final = {_ITEM: pl.Int32, _OTHER: pl.Int32, _COUNT: pl.UInt32}


def read(source: SessionsSource, inputs: Mapping[str, Path], seed: int) -> Iterator[Batch]:
    """First each file with its rows counted, then the pairs of items that the sessions of all files hold.

    Raises:
        InvalidInputError: a file cannot be read, or no two items are seen together often enough.
    """
    kind: pa.DataType = pa.int64() if source.ids == "integer" else pa.string()
    none = pl.DataFrame(pa.table({USER_ID: pa.array([], kind), ITEM_ID: pa.array([], kind)}))
    raw: dict[str, list[pa.Array]] = {USER_ID: [], ITEM_ID: []}
    file = ""
    for batch in files.read(source.files(), inputs, seed):
        file = batch.file
        for column, chunks in raw.items():
            chunks.append(batch.rows.frame[column].to_arrow(compat_level=pl.CompatLevel.oldest()).cast(kind))
        rejected = [row._replace(reason=row.reason.replace(USER_ID, _SESSION)) for row in batch.rows.rejected]
        yield Batch(file, None, Rows(none, rejected), num_rows=len(batch))
    session_N, _ = encode_sorted(pa.chunked_array(raw.pop(USER_ID), kind))
    item_N, items = encode_sorted(pa.chunked_array(raw.pop(ITEM_ID), kind))
    rows = pl.DataFrame({_SESSION: session_N, _ITEM: item_N})
    if rows.is_empty():
        return
    num_rows = len(rows)
    rows = rows.unique()
    pairs, found = co_occurrences(rows, source.max_session_length, source.min_count)
    if pairs.is_empty():
        raise InvalidInputError(
            f"no two items are seen together in {source.min_count:,} sessions: of {found['sessions']:,} "
            f"{found['alone']:,} hold one item and {found['too_long']:,} more than max_session_length allows "
            f"({source.max_session_length:,}); need a lower min_count, or longer sessions"
        )
    yield Batch(file, None, Rows(none), num_duplicates=num_rows - len(rows), sessions=found)
    ids = pl.Series(items)
    for chunk in pairs.iter_slices(_CHUNK):
        named = {USER_ID: ids.gather(chunk[_ITEM]), ITEM_ID: ids.gather(chunk[_OTHER])}
        yield Batch(file, None, Rows(pl.DataFrame(named)), num_rows=0)


def co_occurrences(
    rows: pl.DataFrame, max_length: int, min_count: int
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Ordered pairs of different items, with the number of sessions that hold both.

    Beside the distinct pairs (12 bytes each) and the rows (8) it holds no more than a chunk.

    Args:
        rows: `session` and `item`, int32, without duplicates.

    Returns:
        `item`, `other` and `count`, in no order; and how many there were: rows, sessions, sessions with one
        item (`alone`) and with more than `max_length` (`too_long`), distinct pairs that are seen in fewer
        than `min_count` sessions (`rare_pairs`).
    """
    length_S = rows[_SESSION].value_counts(sort=False)["count"].to_numpy()
    length = pl.len().over(_SESSION)
    kept = rows.filter((length > 1) & (length <= max_length)).sort(_SESSION)
    pairs, fresh = pl.DataFrame(schema=_PAIRS), []
    for members in _chunks(kept):
        fresh.append(_count(members))
        if sum(map(len, fresh)) >= len(pairs):  # so that all merging costs about as much as the last
            pairs, fresh = _merge([pairs, *fresh]), []
    pairs = _merge([pairs, *fresh])
    often = pairs.filter(pl.col(_COUNT) >= min_count)
    return often, {
        "rows": len(rows),
        "sessions": len(length_S),
        "alone": int((length_S == 1).sum()),
        "too_long": int((length_S > max_length).sum()),
        "rare_pairs": len(pairs) - len(often),
    }


def _chunks(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Rows of whole sessions that make about `_CHUNK` pairs; the rows are sorted by session."""
    lengths = rows[_SESSION].rle().struct.field("len").to_numpy().astype(np.int64)
    ends = np.cumsum(lengths)
    number = np.cumsum(lengths * (lengths - 1)) // _CHUNK
    last = np.flatnonzero(np.diff(number, append=-1))
    for start, end in pairwise([0, *ends[last].tolist()]):
        yield rows.slice(start, end - start)


def _count(members: pl.DataFrame) -> pl.DataFrame:
    both = members.join(members.rename({_ITEM: _OTHER}), on=_SESSION)
    different = both.filter(pl.col(_ITEM) != pl.col(_OTHER))
    return different.group_by(_ITEM, _OTHER).agg(pl.len().cast(pl.UInt32).alias(_COUNT))


def _merge(counted: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(counted).group_by(_ITEM, _OTHER).agg(pl.col(_COUNT).sum())
