"""Which examples train, validate and test.

A split is `split(config, examples, seed) -> Parts`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import numpy.typing as npt

from components.core.errors import InvalidInputError
from components.core.recipe.example_preparation import GivenExamples, RandomExamples, TemporalExamples
from components.data.hashes import Hashes, mixed
from components.data.splits import TRAIN, VALID, Parts, dealt, sizes

_GROUPS_IN_A_PART: Final = 10  # the largest group of equal examples that stays together: a tenth of a part


@final
@dataclass(frozen=True)
class Examples:
    """N examples as they were read; the optional columns are there if the source has them.

    Attributes:
        hash_N: of the fields of each, without the label.
    """

    hash_N: Hashes
    timestamp_N: npt.NDArray[np.int64] | None
    part_N: Parts | None

    def keys(self, seed: int, ratio: Sequence[float]) -> Hashes:
        """An order at random in which examples with equal fields are equal. Where so many are equal that they
        would be a good share of a part, each is by itself: with them no part would be a sample of all."""
        largest = max(1, min(filter(None, sizes(len(self.hash_N), ratio)), default=0) // _GROUPS_IN_A_PART)
        _, group_N, count_G = np.unique(self.hash_N, return_inverse=True, return_counts=True)
        order = np.argsort(group_N, kind="stable")
        first_G = np.cumsum(count_G) - count_G
        turn_N = np.empty(len(order), np.uint64)  # of an example among its equals, as they were read
        turn_N[order] = np.arange(len(order)) - first_G[group_N[order]]
        alone_N = np.where(count_G[group_N] > largest, mixed(turn_N + np.uint64(1)), np.uint64(0))
        return mixed(self.hash_N + mixed(np.array([seed], np.uint64)) + alone_N)


def random(split: RandomExamples, examples: Examples, seed: int) -> Parts:
    """Exactly in the ratio, up to rounding.

    What an example's place depends on is the seed and its fields. So it keeps its part when others come and
    go, and examples with equal fields share one: but for those that very many are equal to, and for the few
    that lie where two parts meet, of which those that were read first go into the earlier part.
    """
    return dealt(examples.keys(seed, split.ratio), split.ratio)


def temporal(split: TemporalExamples, examples: Examples, seed: int) -> Parts:
    """By time, ties in the order in which they were read.

    Raises:
        InvalidInputError: there are no timestamps.
    """
    if examples.timestamp_N is None:
        raise InvalidInputError(
            "prepare.split: got temporal, but the source has no times; name its column in `source.timestamp`"
        )
    return dealt(examples.timestamp_N, split.ratio)


def given(split: GivenExamples, examples: Examples, seed: int) -> Parts:
    """The source's parts; without a valid part, some of train, chosen as `random` does.

    Raises:
        InvalidInputError: the source has no parts.
    """
    if examples.part_N is None:
        raise InvalidInputError("prepare.split: got given, but the source has no `parts`")
    part_N = examples.part_N.copy()
    if VALID not in part_N:
        train = np.flatnonzero(part_N == TRAIN)
        ratio = (1 - split.valid_fraction, split.valid_fraction, 0)
        part_N[train] = dealt(examples.keys(seed, ratio)[train], ratio)
    return part_N
