"""What every reader yields, and the ways a raw file can be unreadable."""

import contextlib
import gzip
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Literal, NamedTuple, final

import polars as pl
import pyarrow as pa

from components.core.errors import InvalidInputError
from components.core.recipe.source import ColumnRef

BATCH_BYTES = 16 << 20  # of text, before it is parsed
LINE_BREAK = re.compile(r"\r\n?|\n")
_HEAD_BYTES = 1 << 16
_GZIP_MAGIC = b"\x1f\x8b"


class Rejected(NamedTuple):
    """A row that cannot be used. `line` counts from 1; in a Parquet file it is the row's number."""

    line: int
    reason: str
    content: str


def split_lines(line: int, reason: str, text: str) -> list[Rejected]:
    """A row over several lines as that many rejected lines: they may be rows that a stray quote ate."""
    parts = LINE_BREAK.split(text.rstrip("\r\n"))
    return [Rejected(line + n, reason, part) for n, part in enumerate(parts)]


@final
@dataclass(frozen=True)
class Wanted:
    """A column that is asked for.

    Attributes:
        ref: its header name, or its position from 0.
        holds: what, where the file says of its values more than their text: `id` text or integers, `single`
            text, numbers, true or false, `number` those that are read faster as numbers, `any` also what is
            nested, as JSON.
        separator: between two values in the text of a column that holds several; None where it holds one.
    """

    ref: ColumnRef
    holds: Literal["id", "single", "number", "any"]
    separator: str | None = None


@dataclass(frozen=True)
class RawBatch:
    """Rows as they stand in the file.

    Attributes:
        frame: columns under the names that they were asked for by, values still as found.
        lines: the line on which each row starts, int64.
        content: the text of the rows at some positions, for messages.
        rejected: rows in which no columns could be told apart.
    """

    frame: pl.DataFrame
    lines: pl.Series
    content: Callable[[Sequence[int]], list[str]]
    rejected: Sequence[Rejected] = ()


def resolve(
    wanted: Mapping[str, Wanted], found: Sequence[str], name: str, *, header: bool = True
) -> dict[str, int]:
    """Name of a column that is asked for → position of the file's.

    Raises:
        InvalidInputError: a column is missing or ambiguous; names all such columns.
    """
    positions, problems = {}, []
    for target, ref in ((target, column.ref) for target, column in wanted.items()):
        if isinstance(ref, int):
            if ref in range(len(found)):
                positions[target] = ref
            else:
                problems.append(f"{target}: got position {ref}, need 0 to {len(found) - 1}")
        elif not header:
            problems.append(f"{target}: got {ref!r}, need a position from 0: the file has no header")
        elif found.count(ref) != 1:
            what = "no such column" if ref not in found else "more than one such column"
            problems.append(f"{target}: got {ref!r}, {what}; the file has {', '.join(map(repr, found))}")
        else:
            positions[target] = found.index(ref)
    if problems:
        raise InvalidInputError("\n".join(f"{name}: columns: {problem}" for problem in problems))
    return positions


@contextlib.contextmanager
def open_text(path: Path, name: str) -> Iterator[BufferedReader | gzip.GzipFile]:
    """The bytes of a text file, unpacked where they are gzip.

    Raises:
        InvalidInputError: also later, while the file is read inside the block: not gzip though it is
            named so, truncated, damaged, binary, or not UTF-8.
    """
    with explained(name), path.open("rb") as plain:
        if plain.peek(2)[:2] != _GZIP_MAGIC:
            if name.endswith(".gz") and path.stat().st_size:
                raise InvalidInputError(f"{name}: is named .gz, but holds no gzip")
            _refuse_binary(plain.peek(_HEAD_BYTES), name)
            yield plain
            return
        with gzip.open(plain) as unpacked:
            _refuse_binary(unpacked.peek(_HEAD_BYTES), name)
            yield unpacked


@contextlib.contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn what readers raise on a bad file into our error."""
    try:
        yield
    except EOFError as error:
        raise InvalidInputError(f"{name}: the gzip file is truncated; fetch it again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InvalidInputError(f"{name}: the gzip file is damaged ({error}); fetch it again") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{name}: is not UTF-8 text ({error.reason}); convert it first") from error
    except pa.ArrowInvalid as error:
        raise InvalidInputError(f"{name}: {_plainly(str(error))}") from error


def _refuse_binary(head: bytes, name: str) -> None:
    if head.startswith(b"PAR1"):
        raise InvalidInputError(f"{name}: is a Parquet file; need `format: {{kind: parquet}}`")
    if b"\x00" in head:
        raise InvalidInputError(f"{name}: is a binary file, need text in UTF-8")


def _plainly(message: str) -> str:
    if "invalid UTF8" in message:
        return f"is not UTF-8 text ({message}); convert it first"
    if "straddling object" in message:
        return f"a row is longer than {BATCH_BYTES >> 20} MiB; is a quote never closed?"
    return message
