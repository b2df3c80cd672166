"""What a source yields."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from components.data.normalize import Rows


@final
@dataclass(frozen=True)
class Joined:
    """What a side table gave to some examples.

    Attributes:
        rows: of the table.
        unmatched: examples that it knows nothing of.
    """

    rows: int
    unmatched: int


@dataclass(frozen=True)
class Batch:
    """Some rows of one file.

    Attributes:
        part: the one that the file belongs to, where the source has parts.
        num_rows: how many rows of the file these stand for; by default those in `rows`.
        num_duplicates: how many of them repeat another row and are no longer there.
        sessions: what the profile tells of a source of sessions.
        joined: of each side table of a source of examples.
    """

    file: str
    part: str | None
    rows: Rows
    num_rows: int | None = None
    num_duplicates: int = 0
    sessions: Mapping[str, int] | None = None
    joined: Mapping[str, Joined] = field(default_factory=dict)

    def __len__(self) -> int:
        if self.num_rows is not None:
            return self.num_rows
        return len(self.rows.frame) + len(self.rows.rejected)
