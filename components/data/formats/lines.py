"""Text files in which a row is a line."""

from collections.abc import Iterator
from pathlib import Path

from components.data.formats.raw import BATCH_BYTES, open_text


def read_blocks(path: Path, name: str) -> Iterator[tuple[int, str]]:
    """Whole lines of bounded size together, each block with the number of its first line (from 1).

    Raises:
        InvalidInputError: the file is not readable text.
    """
    number = 1
    with open_text(path, name) as file:
        while lines := file.readlines(BATCH_BYTES):
            encoding = "utf-8-sig" if number == 1 else "utf-8"
            yield number, b"".join(lines).decode(encoding).removesuffix("\n")
            number += len(lines)
