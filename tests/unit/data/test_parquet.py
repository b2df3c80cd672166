"""The deterministic Parquet writer."""

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from components.data.parquet import ROW_GROUP_ROWS, TableWriter, fingerprint, read_table, write_table


def _table() -> pa.Table:
    rows = ROW_GROUP_ROWS + 17
    values = np.random.default_rng(0).normal(size=(rows, 2)).astype(np.float32)
    return pa.table(
        {
            "user": pa.array(np.arange(rows, dtype=np.int32)),
            "name": pa.array([f"é{i}" for i in range(rows)]),
            "embedding": pa.FixedSizeListArray.from_arrays(values.reshape(-1), 2),
        }
    )


def test_a_round_trip_keeps_the_table(tmp_path: Path) -> None:
    write_table(_table(), tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").equals(_table())


def test_chunks_and_metadata_leave_no_trace(tmp_path: Path) -> None:
    table = _table()
    write_table(table, tmp_path / "whole.parquet")
    pieces = [table.slice(start, 1000) for start in range(0, table.num_rows, 1000)]
    chunked = pa.concat_tables(pieces).replace_schema_metadata({"pandas": "{}"})
    write_table(chunked, tmp_path / "chunked.parquet")
    assert (tmp_path / "whole.parquet").read_bytes() == (tmp_path / "chunked.parquet").read_bytes()


def test_it_may_arrive_in_parts(tmp_path: Path) -> None:
    table = _table()
    write_table(table, tmp_path / "whole.parquet")
    for rows in (1000, ROW_GROUP_ROWS - 1, ROW_GROUP_ROWS, ROW_GROUP_ROWS + 5):
        with TableWriter(tmp_path / "parts.parquet", table.schema) as writer:
            for start in range(0, table.num_rows, rows):
                writer.write(table.slice(start, rows))
        assert (tmp_path / "whole.parquet").read_bytes() == (tmp_path / "parts.parquet").read_bytes()


def test_polars_pandas_and_arrow_write_the_same_bytes(tmp_path: Path) -> None:
    content = {"user": [1, 2, 3], "user_id": ["a", "b", "ü"], "rating": [0.5, None, 2.0]}
    tables = {
        "arrow": pa.table(content),
        "polars": pl.DataFrame(content).to_arrow(),
        "pandas": pa.Table.from_pandas(pd.DataFrame(content)),
    }
    for name, table in tables.items():
        write_table(table, tmp_path / name)
    assert len({(tmp_path / name).read_bytes() for name in tables}) == 1


def test_an_empty_table_keeps_its_schema(tmp_path: Path) -> None:
    empty = _table().slice(0, 0)
    write_table(empty, tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").schema == empty.schema


def test_a_folder_named_like_a_partition_adds_no_column(tmp_path: Path) -> None:
    (tmp_path / "key=7").mkdir()
    write_table(pa.table({"a": [1]}), tmp_path / "key=7" / "t.parquet")
    assert read_table(tmp_path / "key=7" / "t.parquet").column_names == ["a"]


def test_a_fingerprint_tells_types_apart() -> None:
    narrow, wide = pa.schema([("a", pa.int32())]), pa.schema([("a", pa.int64())])
    assert fingerprint(narrow) != fingerprint(wide)
    assert fingerprint(narrow) == fingerprint(narrow.with_metadata({"x": "y"}))
