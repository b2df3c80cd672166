"""Adjacency lists: a user and the items they interacted with on each line."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from components.core.columns import ITEM_ID, POSITION, USER_ID
from components.core.errors import InvalidInputError
from components.core.recipe.source import AdjacencyFormat
from components.data.formats.lines import read_blocks
from components.data.formats.raw import RawBatch, Wanted


def read(
    format: AdjacencyFormat,  # noqa: A002
    path: Path,
    name: str,
    wanted: Mapping[str, Wanted],
) -> Iterator[RawBatch]:
    """One row for each item of each line; a user without items has none.

    Raises:
        InvalidInputError: more than users, items and positions is asked for, or the file is not readable
            text.
    """
    more = wanted.keys() - {USER_ID, ITEM_ID, POSITION}
    if more:
        raise InvalidInputError(f"{name}: columns: adjacency lists hold no {', '.join(sorted(more))}")
    num_rows = 0
    for number, text in read_blocks(path, name):
        tokens = pl.Series(text.split("\n"), dtype=pl.String).str.extract_all(r"\S+")
        rows = (
            pl.DataFrame({"tokens": tokens})
            .with_row_index("line", offset=number)
            .select(
                pl.col("line").cast(pl.Int64),
                pl.col("tokens").list.first().alias(USER_ID),
                pl.col("tokens").list.slice(1).alias(ITEM_ID),
            )
            .filter(pl.col(ITEM_ID).list.len() > 0)
            .explode(ITEM_ID)
        )
        frame = rows.select(USER_ID, ITEM_ID)
        content = _Content(frame)
        if POSITION in wanted:
            frame = frame.with_columns(pl.int_range(num_rows, num_rows + pl.len()).alias(POSITION))
        num_rows += len(frame)
        yield RawBatch(frame, rows["line"], content)


class _Content:
    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def __call__(self, positions: Sequence[int]) -> list[str]:
        return [f"{user} {item}" for user, item in self._frame[list(positions)].iter_rows()]
