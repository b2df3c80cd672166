"""The encoder of one field: its missing values, and its lists."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.core.errors import InvalidInputError
from components.core.recipe.example_preparation import Encodings, LogSquareEncoding, Pooling, ValuesEncoding
from components.core.recipe.examples import FieldKind
from components.data.encoders.base import Encoder
from components.data.encoders.counting import count_values
from components.data.encoders.hashed import HashedEncoder
from components.data.encoders.log2 import LogSquareEncoder
from components.data.encoders.quantile import QuantileEncoder
from components.data.encoders.values import ValuesEncoder
from components.data.fields import CODE_LIST, FIRST_VALUE, MISSING
from components.data.present import distinct_in_rows, present

ENCODERS: Final[dict[str, type[Encoder]]] = {
    "values": ValuesEncoder,
    "hashed": HashedEncoder,
    "quantile": QuantileEncoder,
    "log2": LogSquareEncoder,
}


@final
@dataclass(frozen=True)
class FieldEncoder:
    """How the values of one field become codes.

    Attributes:
        encoder: of a history that of the field whose values it has.
        of: that field.
        length: of a history, at most; 0 of other fields.
    """

    name: str
    kind: FieldKind
    encoding: str
    pooling: Pooling | None
    encoder: Encoder
    of: str | None = None
    length: int = 0

    @property
    def size(self) -> int:
        """Codes of its own are 0 … size − 1; a history has none."""
        return 0 if self.kind == "history" else self.encoder.size

    def encode(self, column: pa.Array) -> pa.Array:
        """The codes of B examples: int32, of a multi-valued field lists of them, each code of an example
        once and ascending, of a history lists in its order, with one missing value for none."""
        if self.kind == "history":
            return self._encode_history(column)
        row_V, values = present(column)
        code_V = self.encoder.encode(values)
        if self.kind != "multi_valued":
            code_B = np.full(len(column), MISSING, np.int32)
            code_B[row_V] = code_V
            return pa.array(code_B)
        empty = np.flatnonzero(np.bincount(row_V, minlength=len(column)) == 0)
        missing = np.full(len(empty), MISSING, np.int32)
        row_V, code_V = distinct_in_rows(np.concatenate([row_V, empty]), np.concatenate([code_V, missing]))
        start_B = np.searchsorted(row_V, np.arange(len(column) + 1)).astype(np.int32)
        return pa.ListArray.from_arrays(start_B, code_V, type=CODE_LIST)

    def _encode_history(self, column: pa.Array) -> pa.Array:
        values = pc.list_flatten(column)
        code_V = np.full(len(values), MISSING, np.int32)
        place_P, there = present(values)
        code_V[place_P] = self.encoder.encode(there)
        count_B = pc.list_value_length(column).fill_null(0).to_numpy().astype(np.int64)
        start_B = np.concatenate([[0], np.cumsum(np.maximum(count_B, 1))])
        filled_V = np.full(start_B[-1], MISSING, np.int32)
        step_V = np.arange(len(values)) - np.repeat(np.cumsum(count_B) - count_B, count_B)
        filled_V[np.repeat(start_B[:-1], count_B) + step_V] = code_V
        return pa.ListArray.from_arrays(start_B.astype(np.int32), filled_V, type=CODE_LIST)


def fit_field(name: str, kind: FieldKind, encodings: Encodings, train: Iterable[pa.Array]) -> FieldEncoder:
    """Fit the encoder of a field to its column in train, which comes in parts, at least one.

    Raises:
        InvalidInputError: train has no value of it, or none that is frequent enough.
    """
    config = encodings.of(name, kind)
    counted = count_values(train)
    if not len(counted.values):
        raise InvalidInputError(
            f"source.fields: {name}: is missing in every example of train, so nothing can be learned of it; "
            "leave it out, or need more data or another split"
        )
    fit = ENCODERS[config.kind].fit
    encoder = fit(config, counted)
    if isinstance(config, ValuesEncoding | LogSquareEncoding) and encoder.size == FIRST_VALUE:
        count_V = fit(config.model_copy(update={"min_count": 1}), counted).vocabulary.count_V
        raise InvalidInputError(
            f"prepare.encodings: {name}: got min_count {config.min_count}, but of {len(count_V):,} "
            f"values in train none occurs more than {count_V.max():,} times"
        )
    pooling = encodings.pooling if kind == "multi_valued" else None
    return FieldEncoder(name, kind, config.kind, pooling, encoder)
