"""Which interactions train, validate and test.

A split is `split(config, positives, seed) -> Parts`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.core.columns import PARTS
from components.core.errors import InvalidInputError
from components.core.recipe.prepare import GivenSplit, LeaveOneOutSplit, RandomSplit, TemporalSplit

TRAIN: Final = PARTS.index("train")
VALID: Final = PARTS.index("valid")
TEST: Final = PARTS.index("test")
Parts = npt.NDArray[np.int8]  # for each interaction, the place of its part in PARTS
_Hashes = npt.NDArray[np.uint64]
_MIN_TO_LEAVE_OUT: Final = 3


@dataclass(frozen=True)
class Positives:
    """N distinct pairs, sorted by user and item; the optional columns are there if the source has them.

    Users and items are places in `user_ids` and `item_ids`, the sorted raw ids, text or integers.
    """

    user_N: npt.NDArray[np.int32]
    item_N: npt.NDArray[np.int32]
    user_ids: pa.Array
    item_ids: pa.Array
    timestamp_N: npt.NDArray[np.int64] | None
    part_N: Parts | None

    def __len__(self) -> int:
        return len(self.user_N)


def random(split: RandomSplit, positives: Positives, seed: int) -> Parts:
    """Exactly in the ratio, up to rounding.

    What a pair's place depends on is the seed and its own ids. So it keeps its part when other pairs come
    and go, but for the few that lie where two parts meet: a model of yesterday is tested on hardly
    anything that it trained on.
    """
    return _dealt(np.argsort(_hashes(positives, seed), kind="stable"), split.ratio)


def temporal(split: TemporalSplit, positives: Positives, seed: int) -> Parts:
    """By time over all users, ties by user and item.

    Raises:
        InvalidInputError: there are no timestamps.
    """
    if positives.timestamp_N is None:
        raise InvalidInputError(
            "prepare.split: got temporal, but the source has no times; map `source.columns.timestamp`"
        )
    order = np.lexsort((positives.item_N, positives.user_N, positives.timestamp_N))
    return _dealt(order, split.ratio)


def leave_one_out(split: LeaveOneOutSplit, positives: Positives, seed: int) -> Parts:
    """The last of every user with three interactions or more, ties by item, or random ones,
    which are as lasting as those of `random`."""
    if positives.timestamp_N is None:
        order = np.lexsort((_hashes(positives, seed), positives.user_N))
    else:
        order = np.lexsort((positives.item_N, positives.timestamp_N, positives.user_N))
    counts = np.bincount(positives.user_N)
    last = (np.cumsum(counts) - 1)[counts >= _MIN_TO_LEAVE_OUT]
    part_N = np.full(len(positives), TRAIN, np.int8)
    part_N[order[last]] = TEST
    part_N[order[last - 1]] = VALID
    return part_N


def given(split: GivenSplit, positives: Positives, seed: int) -> Parts:
    """The source's parts; without a valid part, some of train.

    In the random order in which interactions are set aside, each user's and each item's first one is
    passed over, and taken only when the others do not suffice: so train goes on knowing everybody.

    Raises:
        InvalidInputError: the source has no parts.
    """
    if positives.part_N is None:
        raise InvalidInputError("prepare.split: got given, but the source has no `parts`")
    part_N = positives.part_N.copy()
    if VALID in part_N:
        return part_N
    train = np.random.default_rng(seed).permutation(np.flatnonzero(part_N == TRAIN))
    passed_over = np.zeros(len(train), bool)
    for ids in (positives.user_N, positives.item_N):
        passed_over[np.unique(ids[train], return_index=True)[1]] = True
    queue = np.concatenate([train[~passed_over], train[passed_over]])
    part_N[queue[: round(split.valid_fraction * len(train))]] = VALID
    return part_N


def sizes(count: int, ratio: Sequence[float]) -> list[int]:
    """`count` in proportion to `ratio` in whole numbers, by the largest remainder."""
    shares = [Fraction(str(share)) for share in ratio]
    quotas = [count * share / sum(shares) for share in shares]
    whole = [int(quota) for quota in quotas]
    by_remainder = sorted(range(len(quotas)), key=lambda place: whole[place] - quotas[place])
    for place in by_remainder[: count - sum(whole)]:
        whole[place] += 1
    return whole


def _dealt(order: npt.NDArray[np.int64], ratio: Sequence[float]) -> Parts:
    part_N = np.empty(len(order), np.int8)
    part_N[order] = np.repeat(np.arange(len(PARTS), dtype=np.int8), sizes(len(order), ratio))
    return part_N


def _hashes(positives: Positives, seed: int) -> _Hashes:
    """A number of 64 bits for each pair that depends on its ids and the seed, on no place, no platform and
    no version of a library."""
    user_N = _id_hashes(positives.user_ids)[positives.user_N]
    item_N = _id_hashes(positives.item_ids)[positives.item_N]
    return _mixed(user_N + _mixed(item_N + _mixed(np.array([seed], np.uint64))))


def _id_hashes(ids: pa.Array) -> _Hashes:
    digests = [hashlib.blake2b(str(id_).encode(), digest_size=8).digest() for id_ in ids.to_pylist()]
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def _mixed(x_N: _Hashes) -> _Hashes:
    """The finaliser of SplitMix64, a bijection in which every bit depends on all (Steele et al. 2014)."""
    x_N = (x_N ^ (x_N >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x_N = (x_N ^ (x_N >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x_N ^ (x_N >> np.uint64(31))
