"""Parquet files whose bytes depend on their content alone."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from components.core.hashing import sha256_text

ROW_GROUP_ROWS = 1 << 18


def write_table(table: pa.Table, path: Path) -> None:
    """Write `table` so that equal tables give equal bytes, whatever library and chunks they came from.

    Text becomes plain `string`, dictionaries become their values; metadata of the schema is left out.
    """
    schema = pa.schema([pa.field(field.name, _plain(field.type)) for field in table.schema])
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=False,
        column_encoding={f.name: "DELTA_BINARY_PACKED" for f in schema if pa.types.is_integer(f.type)},
        data_page_version="2.0",
    ) as writer:
        for start in range(0, table.num_rows, ROW_GROUP_ROWS):
            # One chunk a row group: page boundaries would otherwise follow the chunks.
            rows = table.slice(start, ROW_GROUP_ROWS).cast(schema).combine_chunks()
            writer.write_table(rows, row_group_size=ROW_GROUP_ROWS)


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
