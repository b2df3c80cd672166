"""Gates of a delivery: by itself, and against an earlier one."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import polars as pl

from components.core.gates import Gate
from components.core.recipe import quality
from components.data import changes

DELIVERY: Final = "the delivery"


def rejected_gate(num_rejected: int, num_rows: int, allowed: float) -> Gate:
    """That no more rows than the recipe allows could not be used."""
    share = num_rejected / num_rows
    told = (
        f"{num_rejected:,} of {num_rows:,} rows ({share:.2%}) cannot be used; "
        f"max_rejected_fraction allows {allowed:.2%}"
    )
    return Gate(
        name="rejected", subject=DELIVERY, value=share, high=allowed, passed=share <= allowed, told=told
    )


def delivery_gates(
    bounds: quality.Delivery,
    interactions: changes.Interactions,
    profile: Mapping[str, Any],
    optional: list[str],
    now_s: float,
) -> Iterator[Gate]:
    """What a delivery looks like by itself.

    Args:
        optional: its columns in which a value may be missing.
        now_s: seconds since 1970.
    """
    value = changes.concentration(interactions)
    told = f"the most popular item has {value:.2%} of the interactions"
    yield bounds.concentration.judge("concentration", DELIVERY, value, told)
    value = profile["duplicates_dropped"] / profile["rows"]
    told = f"{value:.2%} of the {profile['rows']:,} rows repeat another"
    yield bounds.duplicates.judge("duplicates", DELIVERY, value, told)
    nulls = changes.null_share(interactions, optional)
    told = "no optional columns" if nulls is None else f"{nulls:.2%} of the optional values are missing"
    yield bounds.nulls.judge("nulls", DELIVERY, nulls, told)
    age_s = changes.age(interactions, now_s)
    told = "no timestamps" if age_s is None else f"the last interaction was {duration(age_s)} ago"
    yield bounds.age_s.judge("age_s", DELIVERY, age_s, told)


def change_gates(
    bounds: quality.Changes,
    subject: str,
    now: changes.Interactions,
    before: changes.Interactions,
    generator: np.random.Generator,
) -> Iterator[Gate]:
    """How a delivery differs from an earlier one, which `subject` names."""
    found = changes.compare(now, before, generator)
    types = "" if found.same_ids else ", as the ids' type has changed"
    told = {
        "volume": f"{found.volume:.2f} times its {len(before):,} interactions",
        "new_users": f"{found.new_users:.1%} of the users are new{types}",
        "lost_users": f"{found.lost_users:.1%} of its users are gone{types}",
        "new_items": f"{found.new_items:.1%} of the items are new{types}",
        "lost_items": f"{found.lost_items:.1%} of its items are gone{types}",
        "popularity": f"the items' shares of the interactions lie {found.popularity:.3f} apart; samples of "
        f"one world as large as these would by {found.popularity_by_chance:.3f}",
        "activity": f"interactions per user lie {found.activity:.3f} apart; samples of one world as large "
        f"as these would by {found.activity_by_chance:.3f}",
        "repeated": f"{found.repeated:.1%} of the interactions were there before",
        "gap_s": told_gap(found.gap_s),
    }
    for name, words in told.items():
        bound: quality.Bound = getattr(bounds, name)
        yield bound.judge(name, subject, getattr(found, name), words)


def vocabulary_gates(
    bounds: quality.Vocabulary, now: Mapping[str, pl.Series], before: Mapping[str, pl.Series]
) -> Iterator[Gate]:
    """How many of the champion's `users` and `items` a dataset still has."""
    for side, ids in now.items():
        name = f"kept_{side}"
        value = changes.kept(ids, before[side])
        told = f"{value:.1%} of its {len(before[side]):,} {side} are still there"
        if ids.dtype != before[side].dtype:
            told += ", as the ids' type has changed"
        bound: quality.Bound = getattr(bounds, name)
        yield bound.judge(name, "against the champion's dataset", value, told)


def told_gap(gap_s: float | None) -> str:
    """The time between two deliveries in words."""
    if gap_s is None:
        return "no timestamps to compare"
    if gap_s < 0:
        return f"begins {duration(-gap_s)} before it ended"
    return f"begins {duration(gap_s)} after it ended"


def duration(seconds: float) -> str:
    """In the largest unit of which there are two."""
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if abs(seconds) >= 2 * size:
            return f"{math.trunc(seconds / size):,} {unit}"
    return f"{math.trunc(seconds):,} seconds"
