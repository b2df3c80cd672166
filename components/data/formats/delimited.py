"""CSV, TSV and their kin: quoted fields, a byte-order mark, line breaks inside quotes."""

import csv
import gzip
from codecs import BOM_UTF8, getincrementaldecoder
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BufferedReader, TextIOWrapper
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from components.core.errors import InvalidInputError
from components.core.recipe.source import DelimitedFormat
from components.data.formats.raw import (
    BATCH_BYTES,
    LINE_BREAK,
    RawBatch,
    Rejected,
    Wanted,
    open_text,
    resolve,
    split_lines,
)

_File = BufferedReader | gzip.GzipFile
Numbers = npt.NDArray[np.int64]
_MAX_BREAKS = 100  # a row over more lines than this is rows that an unclosed quote ate


def read(
    format: DelimitedFormat,  # noqa: A002
    path: Path,
    name: str,
    wanted: Mapping[str, Wanted],
) -> Iterator[RawBatch]:
    """Rows of a delimited file; rows with too many or too few fields are rejected, a line of no characters
    is no row, wherever it stands.

    Raises:
        InvalidInputError: a column is missing, or the file is not readable text.
    """
    with open_text(path, name) as file, open_text(path, name) as again:
        line, start = _skip_empty(file)
        fields = _first_row(file, line, name, format)
        if not fields:
            return
        positions = resolve(wanted, fields, name, header=format.header)
        if format.header:
            line += 1 + sum(len(LINE_BREAK.findall(field)) for field in fields)
        else:
            file.seek(start)
        if file.peek(1):
            yield from _batches(file, _Lines(line, len(fields)), positions, format, _EmptyLines(again))


def _skip_empty(file: _File) -> tuple[int, int]:
    """Go to the first line that is not empty; its number and where it starts."""
    number, start = 1, 0
    while text := file.readline(BATCH_BYTES):
        if text.removeprefix(BOM_UTF8).strip(b"\r\n"):
            break
        number, start = number + 1, file.tell()
    file.seek(start)
    return number, start


def _first_row(file: _File, line: int, name: str, format: DelimitedFormat) -> list[str]:  # noqa: A002
    """Its fields; none at the end of the file."""
    texts = (text.decode("utf-8-sig") for text in iter(lambda: file.readline(BATCH_BYTES), b""))
    try:
        return next(csv.reader(texts, delimiter=format.delimiter), [])
    except csv.Error as error:
        raise InvalidInputError(
            f"{name}:{line}: cannot tell the fields of the first row apart ({error}); need lines that end "
            f"in \\n or \\r\\n, closed quotes, and {csv.field_size_limit():,} characters in a field at most"
        ) from error


def _batches(
    file: _File,
    lines: "_Lines",
    positions: dict[str, int],
    format: DelimitedFormat,  # noqa: A002
    empty: "_EmptyLines",
) -> Iterator[RawBatch]:
    names = [str(position) for position in range(lines.num_fields)]
    reader = pa.csv.open_csv(
        _Text(file),
        pa.csv.ReadOptions(
            use_threads=False,  # with threads a bad row would not know its number
            block_size=BATCH_BYTES,
            column_names=names,
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
        blank = np.flatnonzero(_is_blank(batch))
        is_row_N = breaks_N <= _MAX_BREAKS
        is_row_N[blank] = ~empty.are(lines_N[blank])
        kept = np.flatnonzero(is_row_N)
        rows = batch if len(kept) == len(lines_N) else batch.take(pa.array(kept))
        frame = pl.DataFrame({name: pl.Series(rows.column(place)) for name, place in positions.items()})
        yield RawBatch(frame, pl.Series(lines_N[kept]), _content(rows, format.delimiter), rejected)


class _Text:
    """A file for Arrow, looked at first: Arrow meets what is not UTF-8 in its handler of bad rows, and there
    errors are lost."""

    closed = False

    def __init__(self, file: _File) -> None:
        self._file, self._decoder = file, getincrementaldecoder("utf-8")()

    def read(self, size: int) -> bytes:
        """The next bytes, as they are."""
        block = self._file.read(size)
        self._decoder.decode(block, final=not block)
        return block


class _Lines:
    """Turns Arrow's row numbers, which count bad rows but no line breaks in quotes, into lines."""

    def __init__(self, first: int, num_fields: int) -> None:
        self.num_fields = num_fields
        self._next = 1  # Arrow's number of the next row, good or bad
        self._breaks = first - 1  # lines before the first row, and line breaks inside the rows so far
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
            breaks[number - start] = len(LINE_BREAK.findall(text))
        lines = np.arange(start, end) + self._breaks + np.cumsum(breaks) - breaks
        self._breaks += int(breaks.sum())
        rejected = [
            row
            for number, text in bad.items()
            for row in split_lines(int(lines[number - start]), self._reason, text)
        ]
        return lines[numbers_N - start], breaks_N, rejected


class _EmptyLines:
    """Looks lines up in the file, which is read a second time as far as anybody asks."""

    def __init__(self, file: _File) -> None:
        self._texts = TextIOWrapper(file, "utf-8-sig", errors="replace")  # ends lines where Arrow does
        self._next = 1

    def are(self, lines: Numbers) -> npt.NDArray[np.bool_]:
        """Whether nothing stands on each of some lines; they ascend, in a call and from call to call."""
        found = np.zeros(len(lines), np.bool_)
        for place, line in enumerate(lines.tolist()):
            text = next(islice(self._texts, line - self._next, None), "")
            found[place] = not text.rstrip("\n")
            self._next = line + 1
        return found


def _count_breaks(batch: pa.RecordBatch) -> Numbers:
    """Where Arrow ends a line: \\n, \\r or both."""
    breaks_N = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        returns_N = pc.count_substring(column, "\r").to_numpy()
        breaks_N += pc.count_substring(column, "\n").to_numpy()
        if returns_N.any():
            breaks_N += returns_N - pc.count_substring(column, "\r\n").to_numpy()
    return breaks_N


def _is_blank(batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    """Rows with nothing in any field, which is what Arrow makes of an empty line, and of `,,`."""
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
