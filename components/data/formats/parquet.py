"""Parquet files."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from components.core.errors import InvalidInputError
from components.core.recipe.source import ParquetFormat
from components.data.formats.raw import RawBatch, Wanted, resolve

_BATCH_ROWS = 1 << 18


def read(
    format: ParquetFormat,  # noqa: A002
    path: Path,
    name: str,
    wanted: Mapping[str, Wanted],
) -> Iterator[RawBatch]:
    """Rows of a Parquet file.

    Raises:
        InvalidInputError: a column is missing, or the file is truncated, damaged or no Parquet.
    """
    if path.stat().st_size == 0:
        return
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            positions = resolve(wanted, names, name)
            columns = [names[position] for position in positions.values()]
            line = 1
            for batch in file.iter_batches(_BATCH_ROWS, columns=columns):
                batch.validate(full=True)  # else text that is not UTF-8 goes on as if it were
                frame = pl.DataFrame(
                    {target: pl.Series(batch.column(names[place])) for target, place in positions.items()}
                )
                yield RawBatch(frame, pl.int_range(line, line + len(frame), eager=True), _Content(frame))
                line += len(frame)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{name}: is truncated, damaged or no Parquet file ({error})") from error


class _Content:
    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def __call__(self, positions: Sequence[int]) -> list[str]:
        rows = self._frame[list(positions)].iter_rows(named=True)
        return [", ".join(f"{name}={value}" for name, value in row.items()) for row in rows]
