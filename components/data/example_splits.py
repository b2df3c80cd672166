"""Which examples train, validate and test.

A split is `split(config, examples, seed) -> Parts`.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from components.core.errors import InvalidInputError
from components.core.recipe.example_preparation import GivenExamples, RandomExamples, TemporalExamples
from components.data.hashes import Hashes, mixed
from components.data.splits import TRAIN, VALID, Parts, dealt


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

    def keys(self, seed: int) -> Hashes:
        """An order at random in which examples with equal fields are equal."""
        return mixed(self.hash_N + mixed(np.array([seed], np.uint64)))


def random(split: RandomExamples, examples: Examples, seed: int) -> Parts:
    """Exactly in the ratio, up to rounding.

    What an example's place depends on is the seed and its fields. So it keeps its part when others come and
    go, and examples with equal fields share one: but for the few that lie where two parts meet, of which
    those that were read first go into the earlier part.
    """
    return dealt(examples.keys(seed), split.ratio)


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
        part_N[train] = dealt(examples.keys(seed)[train], (1 - split.valid_fraction, split.valid_fraction, 0))
    return part_N
