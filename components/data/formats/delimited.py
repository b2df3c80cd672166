"""CSV, TSV and their kin: quoted fields, a byte-order mark, line breaks inside quotes."""

import csv
import gzip
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from components.core.recipe.source import Columns, DelimitedFormat
from components.data.formats.raw import BATCH_BYTES, RawBatch, Rejected, open_text, resolve, split_lines

Numbers = npt.NDArray[np.int64]
_MAX_BREAKS = 100  # a row over more lines than this is rows that an unclosed quote ate


def read(format: DelimitedFormat, path: Path, name: str, columns: Columns) -> Iterator[RawBatch]:  # noqa: A002
    """Rows of a delimited file; rows with too many or too few fields are rejected, a line with nothing
    in it is no row.

    Raises:
        InvalidInputError: a column is missing, or the file is not readable text.
    """
    with open_text(path, name) as file:
        first = file.readline()
        if not first.strip():
            return
        fields = next(csv.reader([first.decode("utf-8-sig")], delimiter=format.delimiter))
        positions = resolve(columns, fields, name, header=format.header)
        if format.header and not file.read(1):
            return
    with open_text(path, name) as file:
        yield from _batches(file, len(fields), positions, format)


def _batches(
    file: BinaryIO | gzip.GzipFile,
    num_fields: int,
    positions: dict[str, int],
    format: DelimitedFormat,  # noqa: A002
) -> Iterator[RawBatch]:
    names = [str(position) for position in range(num_fields)]
    lines = _Lines(first=2 if format.header else 1, num_fields=num_fields)
    reader = pa.csv.open_csv(
        file,
        pa.csv.ReadOptions(
            use_threads=False,  # with threads a bad row would not know its number
            block_size=BATCH_BYTES,
            column_names=names,
            skip_rows=int(format.header),
        ),
        pa.csv.ParseOptions(
            delimiter=format.delimiter,
            newlines_in_values=True,
            ignore_empty_lines=False,
            invalid_row_handler=lines.reject,
        ),
        pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
    )
    for batch in chain(reader, [None]):
        if batch is None:  # bad rows may stand behind the last good one
            batch = pa.RecordBatch.from_pylist([], pa.schema([(name, pa.string()) for name in names]))
            lines_N, breaks_N, rejected = lines.finish()
        else:
            lines_N, breaks_N, rejected = lines.number(_count_breaks(batch))
        content = _content(batch, format.delimiter)
        torn = np.flatnonzero(breaks_N > _MAX_BREAKS)
        for position, text in zip(torn, content(torn.tolist()), strict=True):
            reason = f"spans more than {_MAX_BREAKS} lines; is a quote never closed?"
            rejected += split_lines(int(lines_N[position]), reason, text)
        kept = np.flatnonzero((breaks_N <= _MAX_BREAKS) & ~_is_blank(batch))
        rows = batch if len(kept) == len(lines_N) else batch.take(pa.array(kept))
        frame = pl.DataFrame({name: pl.Series(rows.column(place)) for name, place in positions.items()})
        yield RawBatch(frame, pl.Series(lines_N[kept]), _content(rows, format.delimiter), rejected)


class _Lines:
    """Turns Arrow's row numbers, which count bad rows but no line breaks in quotes, into lines."""

    def __init__(self, *, first: int, num_fields: int) -> None:
        self._next = first  # number of the next row, good or bad
        self._breaks = 0  # line breaks inside the rows before it
        self._bad: dict[int, str] = {}
        self._reason = f"has not {num_fields} fields"

    def reject(self, row: Any) -> str:
        """Arrow's handler of a row with a wrong number of fields."""
        self._bad[row.number] = row.text
        return "skip"

    def number(self, breaks_N: Numbers) -> tuple[Numbers, Numbers, list[Rejected]]:
        """Lines of the next N good rows, the breaks in them, and the bad rows before the last of them."""
        near = np.arange(self._next, self._next + len(breaks_N) + len(self._bad))
        numbers_N = np.setdiff1d(near, list(self._bad), assume_unique=True)[: len(breaks_N)]
        end = int(numbers_N[-1]) + 1 if len(numbers_N) else self._next
        return self._advance(end, numbers_N, breaks_N)

    def finish(self) -> tuple[Numbers, Numbers, list[Rejected]]:
        """The same for no good rows, with the bad rows that are left."""
        none = np.empty(0, np.int64)
        return self._advance(max(self._bad, default=self._next - 1) + 1, none, none)

    def _advance(
        self, end: int, numbers_N: Numbers, breaks_N: Numbers
    ) -> tuple[Numbers, Numbers, list[Rejected]]:
        start, self._next = self._next, end
        bad = {number: self._bad.pop(number) for number in sorted(self._bad) if number < end}
        breaks = np.zeros(end - start, np.int64)
        breaks[numbers_N - start] = breaks_N
        for number, text in bad.items():
            breaks[number - start] = text.count("\n")
        lines = np.arange(start, end) + self._breaks + np.cumsum(breaks) - breaks
        self._breaks += int(breaks.sum())
        rejected = [
            row
            for number, text in bad.items()
            if text.strip()  # an empty line is no row
            for row in split_lines(int(lines[number - start]), self._reason, text)
        ]
        return lines[numbers_N - start], breaks_N, rejected


def _count_breaks(batch: pa.RecordBatch) -> Numbers:
    breaks_N = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        breaks_N += pc.count_substring(column, "\n").to_numpy()
    return breaks_N


def _is_blank(batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    """Rows with nothing in any field, which is what Arrow makes of an empty line."""
    blank = np.ones(batch.num_rows, np.bool_)
    for column in batch.columns:
        if not blank.any():
            break
        blank &= pc.equal(column, "").to_numpy(zero_copy_only=False)
    return blank


def _content(batch: pa.RecordBatch, delimiter: str) -> Callable[[Sequence[int]], list[str]]:
    def content(positions: Sequence[int]) -> list[str]:
        rows = batch.take(pa.array(positions, pa.int64())).to_pylist()
        return [delimiter.join(row.values()) for row in rows]

    return content
