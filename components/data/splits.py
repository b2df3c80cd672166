"""Which interactions train, validate and test.

A split is `split(config, positives, seed) -> Parts`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.core.columns import PARTS
from components.core.errors import InvalidInputError
from components.core.recipe.prepare import GivenSplit, LeaveOneOutSplit, RandomSplit, TemporalSplit
from components.data.hashes import Hashes, hash_texts, mixed
from components.data.vocabulary import count_codes

TRAIN: Final = PARTS.index("train")
VALID: Final = PARTS.index("valid")
TEST: Final = PARTS.index("test")
Parts = npt.NDArray[np.int8]  # for each interaction, the place of its part in PARTS
_MIN_TO_LEAVE_OUT: Final = 3
_SORTED: Final = 1 << 20  # about so many interactions are worked on at a time


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
    position_N: npt.NDArray[np.int64] | None
    part_N: Parts | None

    def __len__(self) -> int:
        return len(self.user_N)


def random(split: RandomSplit, positives: Positives, seed: int) -> Parts:
    """Exactly in the ratio, up to rounding.

    What a pair's place depends on is the seed and its own ids. So it keeps its part when other pairs come
    and go, but for the few that lie where two parts meet: a model of yesterday is tested on hardly
    anything that it trained on.
    """
    return dealt(_hashes(positives, seed), split.ratio)


def temporal(split: TemporalSplit, positives: Positives, seed: int) -> Parts:
    """By time over all users, ties by user and item.

    Raises:
        InvalidInputError: there are no timestamps.
    """
    if positives.timestamp_N is None:
        raise InvalidInputError(
            "prepare.split: got temporal, but the source has no times; map `source.columns.timestamp`"
        )
    return dealt(positives.timestamp_N, split.ratio)


def leave_one_out(split: LeaveOneOutSplit, positives: Positives, seed: int) -> Parts:
    """The last of every user with three interactions or more, by timestamps or else by positions, ties by
    item; where there is neither random ones, which are as lasting as those of `random`."""
    key_N: npt.NDArray[Any]
    if positives.timestamp_N is not None:
        key_N = positives.timestamp_N
    else:
        key_N = _hashes(positives, seed) if positives.position_N is None else positives.position_N
    count_U = count_codes(positives.user_N)
    end_U = np.cumsum(count_U)
    part_N = np.full(len(positives), TRAIN, np.int8)
    start = first = 0
    for user in np.flatnonzero(np.diff(end_U // _SORTED, append=-1)).tolist():  # users are sorted apart
        end, some = int(end_U[user]), slice(first, user + 1)
        order = start + np.lexsort((key_N[start:end], positives.user_N[start:end]))
        last = (end_U[some] - 1 - start)[count_U[some] >= _MIN_TO_LEAVE_OUT]
        part_N[order[last]] = TEST
        part_N[order[last - 1]] = VALID
        start, first = end, user + 1
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
    train = np.random.default_rng(seed).permutation(np.flatnonzero(part_N == TRAIN).astype(np.int32))
    passed_over = np.zeros(len(train), bool)
    for code_N in (positives.user_N, positives.item_N):
        first = np.full(len(count_codes(code_N)), -1, np.int32)
        first[code_N[train[::-1]]] = np.arange(len(train), dtype=np.int32)[::-1]  # the last one written stays
        passed_over[first[first >= 0]] = True
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


def dealt(key_N: npt.NDArray[Any], ratio: Sequence[float]) -> Parts:
    """By the order of the keys, equal ones by their places. Only the keys where two parts meet are looked
    for, so nothing is sorted."""
    part_N = np.full(len(key_N), TRAIN, np.int8)
    ends = [end for end in np.cumsum(sizes(len(key_N), ratio))[:-1].tolist() if end < len(key_N)]
    in_order_N = np.partition(key_N, ends) if ends else key_N
    for end in ends:
        key = in_order_N[end]
        num_equal = end - int(np.count_nonzero(key_N < key))  # of those like it that go before it
        part_N += key_N > key
        part_N[np.flatnonzero(key_N == key)[num_equal:]] += 1
    return part_N


def _hashes(positives: Positives, seed: int) -> Hashes:
    """A number of 64 bits for each pair that depends on its ids and the seed, on no place, no platform and
    no version of a library."""
    user_U, item_I = hash_texts(positives.user_ids), hash_texts(positives.item_ids)
    item_I = mixed(item_I + mixed(np.array([seed], np.uint64)))
    hash_N = np.empty(len(positives), np.uint64)
    for start in range(0, len(positives), _SORTED):
        some = slice(start, start + _SORTED)
        hash_N[some] = mixed(user_U[positives.user_N[some]] + item_I[positives.item_N[some]])
    return hash_N
