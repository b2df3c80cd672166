"""What the interactions look like."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from components.core.columns import ITEM_ID, PART, PARTS, RATING, USER_ID
from components.data.parquet import TableFile
from components.data.scanning import count_values, scan_table, time_range

_QUANTILES: Final = {"min": 0.0, "q25": 0.25, "median": 0.5, "q75": 0.75, "q90": 0.9, "q99": 0.99, "max": 1.0}


def describe(path: Path) -> dict[str, Any]:
    """Counts and distributions of a table of interactions, which is read a column at a time."""
    table = scan_table(path)
    by_user, by_item = (count_values(table, column)["count"].to_numpy() for column in (USER_ID, ITEM_ID))
    num_rows = int(by_user.sum())
    columns = table.collect_schema().names()
    return {
        "interactions": num_rows,
        "users": len(by_user),
        "items": len(by_item),
        "density": num_rows / (len(by_user) * len(by_item)),
        "interactions_per_user": _quantiles(by_user),
        "popularity": _quantiles(by_item),
        "popularity_histogram": _histogram(by_item),
        "parts": count_parts(table),
        "rating": _quantiles(TableFile(path).values(RATING)) if RATING in columns else None,
        "time_range": told_times(table),
    }


def _quantiles(values: npt.NDArray[Any]) -> dict[str, float]:
    """Quantiles that are values themselves, and the mean."""
    found = np.quantile(values, list(_QUANTILES.values()), method="inverted_cdf")
    return {**dict(zip(_QUANTILES, found.tolist(), strict=True)), "mean": float(values.mean())}


def _histogram(counts: npt.NDArray[np.int64]) -> list[Mapping[str, int]]:
    """How many items have 1, 2–3, 4–7, … interactions."""
    items = np.bincount(np.log2(counts).astype(np.int64))
    return [
        {"from": 1 << power, "to": (2 << power) - 1, "items": int(number)}
        for power, number in enumerate(items)
    ]


def count_parts(table: pl.LazyFrame) -> dict[str, int] | None:
    """Rows of each part; None where the source comes in none."""
    if PART not in table.collect_schema():
        return None
    counts = dict(count_values(table, PART).iter_rows())
    return {part: counts[part] for part in PARTS if part in counts}


def told_times(table: pl.LazyFrame) -> dict[str, str] | None:
    """When the first and the last row happened; None without timestamps."""
    found = time_range(table)
    if found is None:
        return None
    first, last = (datetime.fromtimestamp(seconds, UTC).isoformat() for seconds in found)
    return {"first": first, "last": last}
