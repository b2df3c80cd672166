"""Fitted encoders in the tables of a dataset."""

from collections.abc import Iterator, Mapping, Sequence, Sized
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.core.columns import CODE, COUNT, ENCODING, FIELD, KIND, LENGTH, LOW, OF, POOLING, SIZE, VALUE
from components.data.encoders.base import Vocabulary
from components.data.encoders.field import ENCODERS, FieldEncoder
from components.data.fields import EDGES, FIELDS, FIRST_VALUE, VALUES
from components.data.parquet import TableWriter, read_table, write_table


def write_encoders(encoders: Sequence[FieldEncoder], directory: Path) -> None:
    """Write `fields.parquet`, `values.parquet` and `edges.parquet`."""
    rows = [
        {
            FIELD: one.name,
            KIND: one.kind,
            ENCODING: one.encoding,
            POOLING: one.pooling,
            SIZE: one.size,
            OF: one.of,
            LENGTH: one.length or None,
        }
        for one in encoders
    ]
    write_table(pa.Table.from_pylist(rows, FIELDS), directory / "fields.parquet")
    with (
        TableWriter(directory / "values.parquet", VALUES) as values,
        TableWriter(directory / "edges.parquet", EDGES) as edges,
    ):
        for one in encoders:
            if one.of is not None:
                continue
            found = one.encoder.vocabulary
            values.write(_rows(VALUES, one.name, {VALUE: found.texts, COUNT: found.count_V}))
            edges.write(_rows(EDGES, one.name, {LOW: found.low_V}))


def read_encoders(directory: Path) -> tuple[FieldEncoder, ...]:
    """The encoders that `write_encoders` wrote, in their order."""
    fields = read_table(directory / "fields.parquet").to_pylist()
    values, edges = (
        dict(by_field(read_table(directory / f"{name}.parquet"))) for name in ("values", "edges")
    )
    encoders = {}
    for row in fields:
        if row[OF] is not None:
            continue
        named = values.get(row[FIELD], VALUES.empty_table())
        vocabulary = Vocabulary(
            texts=named[VALUE].combine_chunks(),
            count_V=named[COUNT].to_numpy(),
            low_V=edges.get(row[FIELD], EDGES.empty_table())[LOW].to_numpy(),
        )
        encoders[row[FIELD]] = ENCODERS[row[ENCODING]].restore(row[SIZE], vocabulary)
    return tuple(
        FieldEncoder(
            row[FIELD],
            row[KIND],
            row[ENCODING],
            row[POOLING],
            encoders[row[OF] or row[FIELD]],
            row[OF],
            row[LENGTH] or 0,
        )
        for row in fields
    )


def by_field(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each field, which lie together."""
    names = table[FIELD].combine_chunks()
    differs = pc.not_equal(names[1:], names[:-1]).fill_null(True)
    starts = np.flatnonzero(differs.to_numpy(zero_copy_only=False)) + 1
    for start, end in pairwise([0, *starts.tolist(), len(names)]):
        if end > start:
            yield names[start].as_py(), table.slice(start, end - start)


def _rows(schema: pa.Schema, name: str, columns: Mapping[str, Sized]) -> pa.Table:
    """One for each value of a field, from the first one's code on."""
    num_rows = max(map(len, columns.values()))
    codes = np.arange(FIRST_VALUE, FIRST_VALUE + num_rows, dtype=np.int32)
    return pa.table({FIELD: pa.repeat(name, num_rows), CODE: codes, **columns}, schema=schema)
