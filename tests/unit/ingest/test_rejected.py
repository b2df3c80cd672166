"""Rejected rows while they are gathered."""

import tracemalloc

import polars as pl
import pyarrow as pa

from components.data.formats.raw import Rejected
from components.data.interactions import REJECTED
from components.ingest.rejected import RejectedRows, count_reasons, first_of


def test_rows_are_told_by_file_and_line() -> None:
    rows = RejectedRows()
    rows.add(0, [Rejected(9, "is empty", "x" * 300)])
    rows.add(0, [])
    rows.add(1, [Rejected(2, "is odd", "o"), Rejected(5, "is empty", "")])
    clashes = {"file": [0], "line": [4], "user_id": [7], "item_id": ["y" * 300]}
    rows.add_clashes(pl.DataFrame(clashes, schema_overrides={"file": pl.Int32}))
    rows.add_clashes(pl.DataFrame())
    clash = "the pair stands in an earlier part"
    table = rows.to_table(["b.csv", "a.csv"])
    assert table.cast(REJECTED).to_pylist() == [
        {"file": "b.csv", "line": 4, "reason": clash, "content": "7, " + "y" * 197},
        {"file": "b.csv", "line": 9, "reason": "is empty", "content": "x" * 200},
        {"file": "a.csv", "line": 2, "reason": "is odd", "content": "o"},
        {"file": "a.csv", "line": 5, "reason": "is empty", "content": ""},
    ]  # fmt: skip
    assert list(count_reasons(table).items()) == [
        ("is empty", 2), (clash, 1), ("is odd", 1),
    ]  # fmt: skip
    assert first_of(table, "is odd") == table.slice(2, 1).to_pylist()[0]


def test_no_rows_have_the_schema_too() -> None:
    table = RejectedRows().to_table([])
    assert table.cast(REJECTED) == REJECTED.empty_table()
    assert count_reasons(table) == {}


def test_many_rows_are_no_python_objects() -> None:
    rows = RejectedRows()
    for start in range(0, 100_000, 1000):
        rows.add(0, [Rejected(line, f"is {line % 3}", f"row {line}") for line in range(start, start + 1000)])
    tracemalloc.start()
    table = rows.to_table(["a.csv"])
    assert count_reasons(table) == {"is 0": 33_334, "is 1": 33_333, "is 2": 33_333}
    assert first_of(table, "is 2")["line"] == 2
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    assert isinstance(table, pa.Table)
