"""What a card is put together from. What is text from elsewhere is escaped already."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

Pair = tuple[str, str]


@final
@dataclass(frozen=True, kw_only=True)
class Table:
    """Finished cells; `numbers` tells that all but the first column are."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: bool = True


@final
@dataclass(frozen=True, kw_only=True)
class Measures:
    """A table below the metrics, and what it holds; "" where that is plain."""

    title: str
    note: str
    table: Table


@final
@dataclass(frozen=True, kw_only=True)
class Subject:
    """What only a card of one task says.

    Attributes:
        task: what goes in and what comes out.
        data: what was delivered, and what became of it.
        method: what was trained, beside what all tasks tell of it.
        slices: None where there are none.
        fields: what became of them; None where data have none.
        feedback: what the model does to its own data.
    """

    task: str
    data: Sequence[Pair]
    method: Sequence[Pair]
    metrics: Table
    metrics_note: str
    slices: Measures | None
    measures: Measures
    fields: Table | None
    limits: Sequence[str]
    feedback: Sequence[str]
