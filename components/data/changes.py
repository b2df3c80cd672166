"""How a delivery differs from an earlier one, and what it looks like by itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final, Protocol, final

import numpy as np
import numpy.typing as npt
import polars as pl

from components.core.columns import ITEM_ID, USER_ID
from components.data.scanning import count_values, time_range

Counts = npt.NDArray[np.int64]
_NUM_DRAWS: Final = 10
_PAIR: Final = [USER_ID, ITEM_ID]
_MATCHED: Final = 4_000_000  # interactions that are looked up at a time


class Timed(Protocol):
    """A delivery whose rows may have times."""

    @property
    def times(self) -> tuple[int, int] | None:
        """Of the first and the last row, in seconds since 1970; None without timestamps."""
        ...


@final
class Interactions:
    """A delivery's interactions, one row per pair, at least one: user_id, item_id, perhaps timestamp and
    others. Nothing is held in memory but what stands once for each user or item."""

    def __init__(self, rows: pl.LazyFrame) -> None:
        self.rows = rows
        self.schema = rows.collect_schema()

    def __len__(self) -> int:
        return int(self.users["count"].sum())

    @cached_property
    def users(self) -> pl.DataFrame:
        """Each user and, as `count`, their interactions."""
        return count_values(self.rows, USER_ID)

    @cached_property
    def items(self) -> pl.DataFrame:
        """Each item and, as `count`, its interactions."""
        return count_values(self.rows, ITEM_ID)

    @cached_property
    def times(self) -> tuple[int, int] | None:
        """Of the first and the last interaction, in seconds since 1970; None without timestamps."""
        return time_range(self.rows)

    def ranges(self) -> Iterator[pl.Expr]:
        """Conditions that cut the rows into ranges of users."""
        last = self.users["count"].cast(pl.Int64).cum_sum() // _MATCHED
        ends = self.users[USER_ID].filter(last != last.shift(-1)).to_list()
        for start, end in pairwise([None, *ends, None]):
            after = pl.lit(True) if start is None else pl.col(USER_ID) > start
            yield after if end is None else after & (pl.col(USER_ID) <= end)


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


def compare(now: Interactions, before: Interactions, generator: np.random.Generator) -> Changes:
    """Changes from `before` to `now`."""
    same_ids = all(now.schema[column] == before.schema[column] for column in _PAIR)
    user_now, user_before = aligned_counts(now.users, before.users)
    item_now, item_before = aligned_counts(now.items, before.items)
    active_now, active_before = activity(user_now), activity(user_before)
    return Changes(
        volume=len(now) / len(before),
        new_users=_missing(user_now, user_before),
        lost_users=_missing(user_before, user_now),
        new_items=_missing(item_now, item_before),
        lost_items=_missing(item_before, item_now),
        popularity=distance(item_now, item_before),
        activity=distance(active_now, active_before),
        repeated=_repeated(now, before) / len(now) if same_ids else 0.0,
        gap_s=gap(now, before),
        popularity_by_chance=chance_distance(item_now, item_before, generator),
        activity_by_chance=chance_distance(active_now, active_before, generator),
        same_ids=same_ids,
    )


def aligned_counts(now: pl.DataFrame, before: pl.DataFrame) -> tuple[Counts, Counts]:
    """How often each id of either stands in both, from its counts in each: the id, and `count`. Ids of
    different types are different ids."""
    left, right = (side.rename({side.columns[0]: "id"}) for side in (now, before))
    if left["id"].dtype != right["id"].dtype:
        left_N, right_N = left["count"].to_numpy(), right["count"].to_numpy()
        nothing = np.zeros_like
        return (
            np.concatenate([left_N, nothing(right_N)]).astype(np.int64),
            np.concatenate([nothing(left_N), right_N]).astype(np.int64),
        )
    both = left.join(right, on="id", how="full", maintain_order="left_right")
    counts = both.select("count", "count_right").fill_null(0).cast(pl.Int64)
    return counts["count"].to_numpy(), counts["count_right"].to_numpy()


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
    earlier, later = (ids.alias("id").value_counts(sort=False) for ids in (before, now))
    return 1 - _missing(*aligned_counts(earlier, later))


def concentration(now: Interactions) -> float:
    """Share of all interactions that the most popular item has."""
    return int(now.items["count"].to_numpy().max()) / len(now)


def null_share(now: Interactions, columns: Sequence[str]) -> float | None:
    """Share of the values in some text columns that are null or empty; None for no columns."""
    if not columns:
        return None
    missing = now.rows.select((pl.col(columns).is_null() | (pl.col(columns) == "")).sum())
    return float(sum(missing.collect(engine="streaming").row(0))) / (len(now) * len(columns))


def age(now: Timed, now_s: float) -> float | None:
    """Seconds from the last row to a moment; None without timestamps."""
    return None if now.times is None else now_s - now.times[1]


def gap(now: Timed, before: Timed) -> float | None:
    """Seconds from the last row of a delivery to the first of a later one; None without timestamps."""
    return float(now.times[0] - before.times[1]) if now.times and before.times else None


def _repeated(now: Interactions, before: Interactions) -> int:
    """How many interactions were there before."""
    count = 0
    for some in now.ranges():
        here, there = (rows.filter(some).select(_PAIR).collect() for rows in (now.rows, before.rows))
        count += len(here.join(there, on=_PAIR, how="semi"))
    return count


def _missing(these: Counts, those: Counts) -> float:
    """Share of the ids here that are not there."""
    here = these > 0
    return float(np.count_nonzero(here & (those == 0)) / np.count_nonzero(here))


def _relative_entropy(p: npt.NDArray[np.float64], q: npt.NDArray[np.float64]) -> float:
    """In bits; q is positive wherever p is."""
    some = p > 0
    return float((p[some] * np.log2(p[some] / q[some])).sum())
