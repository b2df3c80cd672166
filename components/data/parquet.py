"""Parquet files whose bytes depend on their content alone, written and read a part at a time."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from components.core.hashing import sha256_text

ROW_GROUP_ROWS = 1 << 18
Mask = npt.NDArray[np.bool_]


@final
class TableWriter:
    """Writes a table that arrives in parts, so that equal tables give equal bytes, whatever the library and
    the parts they came from.

    Text becomes plain `string`, dictionaries become their values; metadata of the schema is left out.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self.schema = pa.schema([pa.field(field.name, _plain(field.type)) for field in schema])
        self._waiting: list[pa.Table] = []
        self._num_waiting = 0
        self._stack = ExitStack()

    def __enter__(self) -> "TableWriter":
        integers = [field.name for field in self.schema if pa.types.is_integer(field.type)]
        self._writer = self._stack.enter_context(
            pq.ParquetWriter(
                self._path,
                self.schema,
                compression="zstd",
                use_dictionary=False,
                column_encoding=dict.fromkeys(integers, "DELTA_BINARY_PACKED"),
                data_page_version="2.0",
            )
        )
        return self

    def write(self, table: pa.Table) -> None:
        """Take the next rows."""
        self._waiting.append(table.cast(self.schema))
        self._num_waiting += table.num_rows
        if self._num_waiting >= ROW_GROUP_ROWS:
            self._flush(self._num_waiting - self._num_waiting % ROW_GROUP_ROWS)

    def _flush(self, num_rows: int) -> None:
        rows = pa.concat_tables(self._waiting)
        for start in range(0, num_rows, ROW_GROUP_ROWS):
            # One chunk a row group: page boundaries would otherwise follow the chunks.
            group = rows.slice(start, min(ROW_GROUP_ROWS, num_rows - start)).combine_chunks()
            self._writer.write_table(group, row_group_size=ROW_GROUP_ROWS)
        self._waiting = [rows.slice(num_rows)]
        self._num_waiting -= num_rows

    def __exit__(self, *raised: Any) -> None:
        with self._stack:
            if raised[0] is None and self._num_waiting:
                self._flush(self._num_waiting)


def write_table(table: pa.Table, path: Path) -> None:
    """Write a whole table as `TableWriter` does."""
    with TableWriter(path, table.schema) as writer:
        for start in range(0, table.num_rows, ROW_GROUP_ROWS):
            writer.write(table.slice(start, ROW_GROUP_ROWS))


@final
class TableFile:
    """A table on disk, of which no more is read than what is asked for.

    Raises:
        OSError, pyarrow.ArrowInvalid: also later: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as file:
            self.schema: pa.Schema = file.schema_arrow.remove_metadata()
            self.num_rows: int = file.metadata.num_rows

    def read(self, columns: Sequence[str] | None = None, chosen: Mask | None = None) -> pa.Table:
        """Some columns, of all rows or of those for which `chosen` is true."""
        if chosen is not None:
            parts = self.parts(columns or self.schema.names, chosen=chosen)
            return pa.concat_tables([self._empty(columns or self.schema.names), *parts])
        with self._open() as file:
            return file.read(columns)

    def parts(
        self, columns: Sequence[str], rows: int = ROW_GROUP_ROWS, *, chosen: Mask | None = None
    ) -> Iterator[pa.Table]:
        """The same, so many rows of the file at a time; no part for no rows."""
        start = 0
        with self._open() as file:
            for batch in file.iter_batches(rows, columns=list(columns)):
                part = pa.table(batch).select(columns)
                here = slice(start, start + batch.num_rows)
                yield part if chosen is None else part.filter(pa.array(chosen[here]))
                start += batch.num_rows

    def values(self, column: str, chosen: Mask | None = None) -> npt.NDArray[Any]:
        """The same for a column of numbers without nulls."""
        num_rows = self.num_rows if chosen is None else int(np.count_nonzero(chosen))
        values_N: npt.NDArray[Any] = np.empty(num_rows, self.schema.field(column).type.to_pandas_dtype())
        start = 0
        for part in self.parts([column], chosen=chosen):
            values_N[start : start + part.num_rows] = part[column].to_numpy()
            start += part.num_rows
        return values_N

    def _empty(self, columns: Sequence[str]) -> pa.Table:
        return pa.schema([self.schema.field(name) for name in columns]).empty_table()

    def _open(self) -> pq.ParquetFile:
        return pq.ParquetFile(self.path)


def read_table(path: Path) -> pa.Table:
    """The whole file; unlike `pyarrow.parquet.read_table` it reads no columns out of the path's name."""
    with pq.ParquetFile(path) as file:
        return file.read()


def read_schema(path: Path) -> pa.Schema:
    """The names and types of a file's columns."""
    return pq.read_schema(path)


def fingerprint(schema: pa.Schema) -> str:
    """SHA-256 of the names and types of a schema."""
    return sha256_text(schema.remove_metadata().to_string())


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    return pa.string() if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) else kind
