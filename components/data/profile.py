"""What the interactions look like."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from components.core.columns import ITEM_ID, PART, PARTS, RATING, TIMESTAMP, USER_ID

_QUANTILES: Final = {"min": 0.0, "q25": 0.25, "median": 0.5, "q75": 0.75, "q90": 0.9, "q99": 0.99, "max": 1.0}


def describe(frame: pl.DataFrame) -> dict[str, Any]:
    """Counts and distributions of distinct interactions; the ids are places from 0 without holes."""
    by_user = np.bincount(frame[USER_ID].to_numpy())
    by_item = np.bincount(frame[ITEM_ID].to_numpy())
    return {
        "interactions": len(frame),
        "users": len(by_user),
        "items": len(by_item),
        "density": len(frame) / (len(by_user) * len(by_item)),
        "interactions_per_user": _quantiles(by_user),
        "popularity": _quantiles(by_item),
        "popularity_histogram": _histogram(by_item),
        "parts": _parts(frame),
        "rating": _quantiles(frame[RATING].to_numpy()) if RATING in frame.columns else None,
        "time_range": _time_range(frame),
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


def _parts(frame: pl.DataFrame) -> dict[str, int] | None:
    if PART not in frame.columns:
        return None
    counts = np.bincount(frame[PART].to_numpy(), minlength=len(PARTS))
    return {part: int(count) for part, count in zip(PARTS, counts, strict=True) if count}


def _time_range(frame: pl.DataFrame) -> dict[str, str] | None:
    if TIMESTAMP not in frame.columns:
        return None
    times = frame[TIMESTAMP].to_numpy()
    return {
        "first": datetime.fromtimestamp(int(times.min()), UTC).isoformat(),
        "last": datetime.fromtimestamp(int(times.max()), UTC).isoformat(),
    }
