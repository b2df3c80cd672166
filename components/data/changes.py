"""How a delivery differs from an earlier one, and what it looks like by itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from components.core.columns import ITEM_ID, TIMESTAMP, USER_ID

Counts = npt.NDArray[np.int64]
_NUM_DRAWS: Final = 10
_PAIR: Final = [USER_ID, ITEM_ID]


@dataclass(frozen=True)
class Changes:
    """A delivery against an earlier one; fields as in the recipe's `quality.previous`.

    Attributes:
        gap_s: None where one of them has no timestamps.
        popularity_by_chance, activity_by_chance: the distance that two random samples of these sizes show,
            on average, when nothing has changed.
        same_ids: whether both have users of one type, and items; else they have none in common.
    """

    volume: float
    new_users: float
    lost_users: float
    new_items: float
    lost_items: float
    popularity: float
    activity: float
    repeated: float
    gap_s: float | None
    popularity_by_chance: float
    activity_by_chance: float
    same_ids: bool


def compare(now: pl.DataFrame, before: pl.DataFrame, generator: np.random.Generator) -> Changes:
    """Changes from `before` to `now`: interactions with user_id, item_id and perhaps timestamp, one row
    per pair, at least one each."""
    same_ids = all(now[column].dtype == before[column].dtype for column in _PAIR)
    user_now, user_before = aligned_counts(now[USER_ID], before[USER_ID])
    item_now, item_before = aligned_counts(now[ITEM_ID], before[ITEM_ID])
    active_now, active_before = activity(user_now), activity(user_before)
    return Changes(
        volume=len(now) / len(before),
        new_users=_missing(user_now, user_before),
        lost_users=_missing(user_before, user_now),
        new_items=_missing(item_now, item_before),
        lost_items=_missing(item_before, item_now),
        popularity=distance(item_now, item_before),
        activity=distance(active_now, active_before),
        repeated=len(now.join(before, on=_PAIR, how="semi")) / len(now) if same_ids else 0.0,
        gap_s=_gap(now, before),
        popularity_by_chance=chance_distance(item_now, item_before, generator),
        activity_by_chance=chance_distance(active_now, active_before, generator),
        same_ids=same_ids,
    )


def aligned_counts(now: pl.Series, before: pl.Series) -> tuple[Counts, Counts]:
    """How often each id of either stands in both. Ids of different types are different ids."""
    left, right = (ids.alias("id").value_counts(sort=False) for ids in (now, before))
    if now.dtype != before.dtype:
        left_N, right_N = left["count"].to_numpy(), right["count"].to_numpy()
        nothing = np.zeros_like
        return (
            np.concatenate([left_N, nothing(right_N)]).astype(np.int64),
            np.concatenate([nothing(left_N), right_N]).astype(np.int64),
        )
    both = left.join(right, on="id", how="full").select("count", "count_right").fill_null(0).cast(pl.Int64)
    return both["count"].to_numpy(), both["count_right"].to_numpy()


def activity(count_U: Counts) -> Counts:
    """How many users have 1, 2–3, 4–7, … interactions; those with none are left out."""
    power_U = np.log2(count_U[count_U > 0]).astype(np.int64)
    return np.bincount(power_U, minlength=64)


def distance(left: Sequence[int] | Counts, right: Sequence[int] | Counts) -> float:
    """Jensen–Shannon distance of two distributions, given by counts of the same things: the root of the
    divergence to base 2. 0 for equal shares, 1 where they have nothing in common."""
    p, q = (np.asarray(counts) / np.sum(counts) for counts in (left, right))
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return float(np.sqrt(np.clip(divergence, 0, 1)))


def chance_distance(left: Counts, right: Counts, generator: np.random.Generator) -> float:
    """The distance to expect if both were drawn from the same shares, those of the two together.

    Interactions are drawn independently; those of one user or session are not, so real deliveries
    differ by more than this even when nothing has changed.
    """
    pooled = (left + right) / (left.sum() + right.sum())
    drawn = [
        distance(generator.multinomial(left.sum(), pooled), generator.multinomial(right.sum(), pooled))
        for _ in range(_NUM_DRAWS)
    ]
    return float(np.mean(drawn))


def kept(now: pl.Series, before: pl.Series) -> float:
    """Share of the earlier ids that are still there."""
    return 1 - _missing(*aligned_counts(before, now))


def concentration(frame: pl.DataFrame) -> float:
    """Share of all interactions that the most popular item has."""
    return float(frame[ITEM_ID].value_counts(sort=False)["count"].max()) / len(frame)  # type: ignore[arg-type]


def null_share(frame: pl.DataFrame, columns: Sequence[str]) -> float | None:
    """Share of the values in some text columns that are null or empty; None for no columns."""
    if not columns:
        return None
    missing = frame.select((pl.col(columns).is_null() | (pl.col(columns) == "")).sum())
    return float(sum(missing.row(0))) / (len(frame) * len(columns))


def age(frame: pl.DataFrame, now_s: float) -> float | None:
    """Seconds from the last interaction to a moment; None without timestamps."""
    if TIMESTAMP not in frame.columns:
        return None
    return now_s - _last(frame)


def _missing(these: Counts, those: Counts) -> float:
    """Share of the ids here that are not there."""
    here = these > 0
    return float(np.count_nonzero(here & (those == 0)) / np.count_nonzero(here))


def _gap(now: pl.DataFrame, before: pl.DataFrame) -> float | None:
    if TIMESTAMP not in now.columns or TIMESTAMP not in before.columns:
        return None
    return float(now[TIMESTAMP].to_numpy().min() - _last(before))


def _last(frame: pl.DataFrame) -> int:
    return int(frame[TIMESTAMP].to_numpy().max())


def _relative_entropy(p: npt.NDArray[np.float64], q: npt.NDArray[np.float64]) -> float:
    """In bits; q is positive wherever p is."""
    some = p > 0
    return float((p[some] * np.log2(p[some] / q[some])).sum())
