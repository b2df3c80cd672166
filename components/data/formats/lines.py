"""Text files in which a row is a line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from components.core.errors import InvalidInputError
from components.data.formats.raw import BATCH_BYTES, open_text

_LINE_BYTES: Final = 16 << 20


def read_blocks(path: Path, name: str) -> Iterator[tuple[int, str]]:
    """Whole lines of bounded size together, each block with the number of its first line (from 1).

    Raises:
        InvalidInputError: the file is not readable text, or has a line that is longer than 16 MiB.
    """
    number = 1
    with open_text(path, name) as file:
        while block := file.read(BATCH_BYTES):
            if not block.endswith(b"\n"):
                rest = file.readline(_LINE_BYTES + 1)
                block += rest
                if len(rest) > _LINE_BYTES and not rest.endswith(b"\n"):
                    line = number + block.count(b"\n")
                    raise InvalidInputError(
                        f"{name}:{line}: the line is longer than {_LINE_BYTES >> 20} MiB, need a row on each"
                    )
            yield number, block.decode("utf-8-sig" if number == 1 else "utf-8").removesuffix("\n")
            number += block.count(b"\n")
