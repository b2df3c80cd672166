"""Files of examples that a classifier is asked about."""

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from components.core.errors import InvalidInputError

Example = dict[str, Any]


def read_examples(path: Path) -> list[Example]:
    """The rows of a CSV, TSV, JSON Lines or Parquet file; what is empty is None.

    Raises:
        InvalidInputError: there is no such file, it is none of these, or it holds no example.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise InvalidInputError(
            f"--input: got {path.name!r}, need a file that ends with one of {', '.join(_READERS)}"
        )
    try:
        examples = list(read(path))
    except FileNotFoundError:
        raise InvalidInputError(f"--input: there is no file {path}") from None
    except (OSError, ValueError, csv.Error) as error:  # those of Arrow, JSON and Unicode are ValueErrors
        raise InvalidInputError(f"{path}: {error}") from error
    if not examples:
        raise InvalidInputError(f"{path}: holds no example")
    return examples


def _separated(path: Path) -> Iterator[Example]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        if again := [name for name, count in Counter(rows.fieldnames or ()).items() if count > 1]:
            raise ValueError(f"line 1: got the columns {again} more than once, need each once")
        for row in rows:
            if None in row or None in row.values():
                need = len(rows.fieldnames or ())
                raise ValueError(f"line {rows.line_num}: got another number of columns, need {need}")
            yield {name: value or None for name, value in row.items()}


def _json_lines(path: Path) -> Iterator[Example]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                found = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(
                    f"line {number}: not valid JSON: {error.msg} at character {error.pos + 1}"
                ) from None
            if not isinstance(found, dict):
                raise ValueError(f"line {number}: got {line.strip()[:80]}, need a JSON object")
            yield found


def _parquet(path: Path) -> Iterator[Example]:
    import pyarrow.parquet as pq

    yield from pq.ParquetFile(path).read().to_pylist()


_READERS: Final[dict[str, Callable[[Path], Iterator[Example]]]] = {
    ".csv": _separated,
    ".tsv": _separated,
    ".jsonl": _json_lines,
    ".parquet": _parquet,
}
