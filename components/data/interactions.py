"""Interactions while they are gathered: ids as numbers, at the end one row per pair."""

from dataclasses import dataclass
from typing import Final, final

import numpy as np
import polars as pl
import pyarrow as pa

from components.core.columns import (
    CONTENT,
    FILE,
    ITEM_ID,
    LINE,
    PART,
    PARTS,
    RATING,
    REASON,
    TIMESTAMP,
    USER_ID,
)
from components.data.vocabulary import Vocabulary

REJECTED: Final = pa.schema(
    [(FILE, pa.string()), (LINE, pa.int64()), (REASON, pa.string()), (CONTENT, pa.string())]
)
_PAIR: Final = [USER_ID, ITEM_ID]


@dataclass(frozen=True)
class Distinct:
    """One row per pair of user and item, sorted by both.

    Attributes:
        frame: ids and texts as places in their sorted `values`, -1 for null.
        values: column → its distinct values.
        num_duplicates: rows that gave way to another row of their pair.
        clashes: file and line (numbers), user_id and item_id of the rows whose pair stands in an
            earlier part already.
    """

    frame: pl.DataFrame
    values: dict[str, pa.Array]
    num_duplicates: int
    clashes: pl.DataFrame

    def to_table(self) -> pa.Table:
        """The interactions table; texts are still dictionaries, which `write_table` resolves."""
        columns = {}
        for series in self.frame:
            codes = series.to_numpy()
            if series.name in self.values:
                places = pa.array(codes, mask=codes < 0)
                columns[series.name] = pa.DictionaryArray.from_arrays(places, self.values[series.name])
            elif series.name == PART:
                columns[PART] = pa.DictionaryArray.from_arrays(codes, pa.array(PARTS))
            else:
                columns[series.name] = pa.array(codes)
        return pa.table(columns)


@final
class Gathering:
    """Rows as they arrive: numbers, and every distinct text once.

    Frames hold user_id, item_id, [rating], [timestamp], text columns, and where the source has parts
    `part` (int8, its place in PARTS), `file` (int32) and `line` (int64).
    """

    def __init__(self) -> None:
        self._frames: list[pl.DataFrame] = []
        self._vocabularies: dict[str, Vocabulary] = {}

    def add(self, frame: pl.DataFrame) -> None:
        """Take some more rows."""
        self._frames.append(pl.DataFrame([self._encode(column) for column in frame]))

    def _encode(self, column: pl.Series) -> pl.Series:
        if column.name not in _PAIR and column.dtype != pl.String:
            return column
        values = column.to_arrow()
        vocabulary = self._vocabularies.setdefault(column.name, Vocabulary(values.type))
        return pl.Series(column.name, vocabulary.encode(values))

    def distinct(self) -> Distinct:
        """Reduce to one row per pair: of the earliest part, then the latest, then the best rated; what is
        still equal is decided by the other columns' values. So neither order nor files matter."""
        rows = pl.concat(self._frames)
        self._frames.clear()
        values = {}
        for column, vocabulary in self._vocabularies.items():
            values[column], place = vocabulary.sorted()
            place = np.append(place, np.int32(-1))  # where -1, null, finds itself
            rows = rows.with_columns(pl.Series(column, place[rows[column].to_numpy()]))
        rows = _prefer(rows)
        first = (rows.select(pl.any_horizontal(pl.col(_PAIR) != pl.col(_PAIR).shift()))).to_series()
        first = first.fill_null(True)
        clashes = _clashes(rows, first, values)
        return Distinct(
            frame=rows.filter(first).drop(FILE, LINE, strict=False),
            values=values,
            num_duplicates=len(rows) - int(first.sum()) - len(clashes),
            clashes=clashes,
        )


def _prefer(rows: pl.DataFrame) -> pl.DataFrame:
    """Sorted so that of each pair the row to keep comes first."""
    descending = {PART: False, TIMESTAMP: True, RATING: True}
    order = [*_PAIR, *(column for column in descending if column in rows.columns)]
    order += [column for column in rows.columns if column not in order]
    return rows.sort(order, descending=[descending.get(column, False) for column in order])


def _clashes(rows: pl.DataFrame, first: pl.Series, values: dict[str, pa.Array]) -> pl.DataFrame:
    if PART not in rows.columns:
        return pl.DataFrame()
    pair = (first.cum_sum() - 1).to_numpy()
    kept = rows.filter(first)[PART].to_numpy()[pair]
    clashing = rows.filter(pl.Series(rows[PART].to_numpy() > kept))
    ids = [pl.Series(column, values[column].take(clashing[column].to_arrow())) for column in _PAIR]
    return clashing.select(FILE, LINE).with_columns(ids)
