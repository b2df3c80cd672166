"""A code for each bucket of about as many numbers."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self, final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.core.recipe.example_preparation import QuantileEncoding
from components.data.encoders.base import Encoder, Vocabulary
from components.data.encoders.counting import Counted
from components.data.fields import FIRST_VALUE
from components.data.present import Codes
from components.data.vocabulary import Counts


@final
@dataclass(frozen=True)
class QuantileEncoder(Encoder):
    """Buckets that end where the next one begins, from −∞ to ∞. Where numbers repeat there are fewer: an
    edge stands once, and each bucket holds at least one of train's numbers.

    Attributes:
        low_V: the first number of each bucket, ascending; −∞ of the first.
    """

    low_V: npt.NDArray[np.float64]
    count_V: Counts

    @classmethod
    def fit(cls, config: QuantileEncoding, counted: Counted) -> Self:
        """Bucket k of B begins with train's number at place ⌊kn / B⌋ of n in ascending order, from 0."""
        number_V, end_V = counted.values.to_numpy(), np.cumsum(counted.count_V)
        place_E = np.arange(1, config.buckets) * end_V[-1] // config.buckets
        edge_E = np.unique(number_V[np.searchsorted(end_V, place_E, side="right")])
        low_V = np.concatenate([[-np.inf], edge_E[edge_E > number_V[0]]])
        first_V = np.searchsorted(number_V, low_V)  # of each bucket, among the numbers
        return cls(low_V, np.add.reduceat(counted.count_V, first_V))

    @classmethod
    def restore(cls, size: int, vocabulary: Vocabulary) -> Self:
        return cls(vocabulary.low_V, vocabulary.count_V)

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(bucket_texts(self.low_V), self.count_V, self.low_V)

    def encode(self, values: pa.Array) -> Codes:
        place_V = np.searchsorted(self.low_V, values.to_numpy(), side="right")
        code_V: Codes = (place_V - 1 + FIRST_VALUE).astype(np.int32)
        return code_V


def bucket_texts(low_V: npt.NDArray[Any]) -> pa.Array:
    """Buckets as intervals, such as `[0.5, 3)`: equal numbers give equal texts, and others other ones."""
    ends = [repr(low).removesuffix(".0") for low in [*low_V.tolist(), float("inf")]]
    texts = [f"[{low}, {high})" for low, high in pairwise(ends)]
    return pa.array(["(" + texts[0][1:], *texts[1:]] if texts else [], pa.string())
