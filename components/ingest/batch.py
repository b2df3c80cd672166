"""What a source yields."""

from dataclasses import dataclass

from components.data.normalize import Rows


@dataclass(frozen=True)
class Batch:
    """Some rows of one file. `part` is the one that the file belongs to, where the source has parts."""

    file: str
    part: str | None
    rows: Rows
