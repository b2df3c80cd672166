"""A code for each bucket of squared logarithms."""

from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.core.recipe.example_preparation import LogSquareEncoding
from components.data.encoders.base import Encoder, Vocabulary
from components.data.encoders.counting import Counted
from components.data.fields import FIRST_VALUE, OUT_OF_VOCABULARY
from components.data.present import Codes
from components.data.vocabulary import Counts

Numbers = npt.NDArray[np.float64]


@final
@dataclass(frozen=True)
class LogSquareEncoder(Encoder):
    """Codes follow the numbers of the buckets.

    Attributes:
        bucket_V: the numbers of those that are frequent enough, ascending; whole.
    """

    bucket_V: Numbers
    count_V: Counts

    @classmethod
    def fit(cls, config: LogSquareEncoding, counted: Counted) -> Self:
        bucket_V, first_V = np.unique(log_square(counted.values.to_numpy()), return_index=True)
        count_V = np.add.reduceat(counted.count_V, first_V)
        frequent = count_V >= config.min_count
        return cls(bucket_V[frequent], count_V[frequent])

    @classmethod
    def restore(cls, size: int, vocabulary: Vocabulary) -> Self:
        return cls(vocabulary.texts.cast(pa.float64()).to_numpy(), vocabulary.count_V)

    @property
    def vocabulary(self) -> Vocabulary:
        texts = pa.array([f"{bucket:.0f}" for bucket in self.bucket_V.tolist()], pa.string())
        return Vocabulary(texts, self.count_V)

    def encode(self, values: pa.Array) -> Codes:
        bucket_V = log_square(values.to_numpy())
        place_V = np.searchsorted(self.bucket_V, bucket_V)
        known_V = np.append(self.bucket_V, np.nan)[place_V] == bucket_V
        return np.where(known_V, place_V + FIRST_VALUE, OUT_OF_VOCABULARY).astype(np.int32)


def log_square(number_V: npt.NDArray[Any]) -> Numbers:
    """The number of each number's bucket, as pytorch-fm has it for Criteo: ⌊ln² x⌋ for x above 2, else
    ⌊x⌋ − 2. It never falls as x grows, so each bucket is an interval; that of 0 is [2, e)."""
    large_V = np.floor(np.log(np.maximum(number_V, 2.0)) ** 2)
    bucket_V: Numbers = np.where(number_V > 2, large_V, np.floor(number_V) - 2)
    return bucket_V
