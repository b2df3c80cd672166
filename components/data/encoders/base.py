"""What encoders share."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Self, final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.data.encoders.counting import Counted
from components.data.fields import FIRST_VALUE
from components.data.present import Codes
from components.data.vocabulary import Counts


@final
@dataclass(frozen=True)
class Vocabulary:
    """What the codes of a field stand for, from the first value's on.

    Attributes:
        texts: a distinct text for each; empty where there is no telling.
        count_V: train's examples with each.
        low_V: the number with which each begins; only of buckets by quantiles.
    """

    texts: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))
    count_V: Counts = field(default_factory=lambda: np.empty(0, np.int64))
    low_V: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))


class Encoder(ABC):
    """Turns values into codes."""

    @classmethod
    @abstractmethod
    def fit(cls, config: Any, counted: Counted) -> Self:
        """To train's values, of which there is at least one.

        Args:
            config: the encoding in the recipe.
        """

    @classmethod
    @abstractmethod
    def restore(cls, size: int, vocabulary: Vocabulary) -> Self:
        """From what a fitted encoder says of itself."""

    @property
    @abstractmethod
    def vocabulary(self) -> Vocabulary: ...

    @property
    def size(self) -> int:
        """Codes are 0 … size − 1."""
        return FIRST_VALUE + len(self.vocabulary.count_V)

    @abstractmethod
    def encode(self, values: pa.Array) -> Codes:
        """The codes (V,) of V values, none of which is missing."""
