"""A code for each value that is frequent enough."""

from dataclasses import dataclass
from typing import Self, final

import pyarrow as pa
import pyarrow.compute as pc

from components.core.recipe.example_preparation import ValuesEncoding
from components.data.encoders.base import Encoder, Vocabulary
from components.data.encoders.counting import Counted
from components.data.fields import FIRST_VALUE, OUT_OF_VOCABULARY
from components.data.present import Codes
from components.data.vocabulary import Counts


@final
@dataclass(frozen=True)
class ValuesEncoder(Encoder):
    """Codes follow the values by their UTF-8 bytes, so they depend on which values there are and not on how
    frequent each is."""

    values: pa.Array
    count_V: Counts

    @classmethod
    def fit(cls, config: ValuesEncoding, counted: Counted) -> Self:
        frequent = counted.count_V >= config.min_count
        return cls(counted.values.filter(pa.array(frequent)), counted.count_V[frequent])

    @classmethod
    def restore(cls, size: int, vocabulary: Vocabulary) -> Self:
        return cls(vocabulary.texts, vocabulary.count_V)

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(self.values, self.count_V)

    def encode(self, values: pa.Array) -> Codes:
        place = pc.index_in(values, value_set=self.values)
        code_V: Codes = place.fill_null(OUT_OF_VOCABULARY - FIRST_VALUE).to_numpy() + FIRST_VALUE
        return code_V
