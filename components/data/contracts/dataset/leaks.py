"""What no part of a dataset may know of another."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final

import polars as pl

from components.core.columns import TIMESTAMP
from components.core.gates import Gate
from components.core.recipe.quality import Bound
from components.data.parquet import TableFile
from components.data.scanning import scan_table

_NONE: Final = Bound(min=0, max=0, severity="stop")


def leak_gate(name: str, count: int, told: str) -> Gate:
    """That nothing leaks."""
    return _NONE.judge(name, "leaks", count, told)


def future_gates(parts: Mapping[str, TableFile], what: str) -> Iterator[Gate]:
    """Where time splits, no part knows the future of another.

    Args:
        parts: in the order of time.
        what: the word for their rows.
    """
    there = [(part, file) for part, file in parts.items() if file.num_rows]
    for (early, before), (late, after) in pairwise(there):
        first = scan_table(after.path).select(pl.col(TIMESTAMP).min()).collect(engine="streaming").item()
        later = scan_table(before.path).select((pl.col(TIMESTAMP) > first).sum())
        count = int(later.collect(engine="streaming").item())
        yield leak_gate(
            f"future_in_{early}", count, f"{count:,} {what} in {early} are later than the first in {late}"
        )
