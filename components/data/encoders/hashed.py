"""A code for each bucket of a hash."""

from dataclasses import dataclass
from typing import Self, final

import numpy as np
import pyarrow as pa

from components.core.recipe.example_preparation import HashedEncoding
from components.data.encoders.base import Encoder, Vocabulary
from components.data.encoders.counting import Counted
from components.data.fields import FIRST_VALUE
from components.data.hashes import hash_texts
from components.data.present import Codes


@final
@dataclass(frozen=True)
class HashedEncoder(Encoder):
    """Knows no values: nothing is out of vocabulary, and values share codes by chance."""

    buckets: int

    @classmethod
    def fit(cls, config: HashedEncoding, counted: Counted) -> Self:
        return cls(config.buckets)

    @classmethod
    def restore(cls, size: int, vocabulary: Vocabulary) -> Self:
        return cls(size - FIRST_VALUE)

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary()

    @property
    def size(self) -> int:
        return FIRST_VALUE + self.buckets

    def encode(self, values: pa.Array) -> Codes:
        encoded = values.dictionary_encode()
        bucket_U = (hash_texts(encoded.dictionary) % np.uint64(self.buckets)).astype(np.int32)
        code_V: Codes = bucket_U[encoded.indices.to_numpy()] + np.int32(FIRST_VALUE)
        return code_V
