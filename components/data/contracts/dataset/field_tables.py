"""What must be true of a dataset's fields, their values and their edges."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from components.core.columns import CODE, COUNT, ENCODING, FIELD, KIND, LENGTH, LOW, OF, POOLING, SIZE, VALUE
from components.core.recipe import PrepareExamplesParams
from components.core.recipe.example_preparation import (
    AnyEncoding,
    HashedEncoding,
    LogSquareEncoding,
    QuantileEncoding,
)
from components.core.recipe.examples import LISTS
from components.data.contracts.examination import Fact
from components.data.encoders.quantile import bucket_texts
from components.data.encoders.tables import by_field
from components.data.fields import FIRST_VALUE
from components.data.vocabulary import Counts

Column = npt.NDArray[Any]
_NUM_NAMED: Final = 5  # fields in a message


def facts_by_field(num_wrong: Mapping[str, Mapping[str, int]]) -> dict[str, Fact]:
    """How often something is wrong, over all fields; it names the fields where it is.

    Args:
        num_wrong: what is wrong → field → how often.
    """
    facts: dict[str, Fact] = {}
    for what, numbers in num_wrong.items():
        where = [name for name, number in numbers.items() if number]
        more = f" and {len(where) - _NUM_NAMED} more" * (len(where) > _NUM_NAMED)
        named = f" of {', '.join(where[:_NUM_NAMED])}{more}" * bool(where)
        facts[what + named] = (sum(numbers.values()), 0, 0)
    return facts


def field_facts(fields: pa.Table, params: PrepareExamplesParams) -> dict[str, Fact]:
    """The fields are the recipe's, in its order, and encoded as it says."""
    encodings = {name: params.encoding_of(name) for name in params.kinds}
    kinds, pooling = params.kinds, params.encodings.pooling
    expected: dict[str, Iterable[Any]] = {
        FIELD: kinds,
        KIND: kinds.values(),
        ENCODING: (encoding.kind for encoding in encodings.values()),
        POOLING: (pooling if kind in LISTS else None for kind in kinds.values()),
        OF: (params.histories.get(name) for name in kinds),
        LENGTH: (params.history_length if name in params.histories else None for name in kinds),
    }
    return {
        f"{column} other than the recipe's": (_num_different(_texts(fields[column]), _texts(values)), 0, 0)
        for column, values in expected.items()
    }


def size_facts(
    fields: pa.Table, values: pa.Table, edges: pa.Table, params: PrepareExamplesParams
) -> dict[str, Fact]:
    """Each field is as large as its values are many, and has an edge for each if it has edges; those of each
    field lie together, in the order of the fields."""
    encodings = _encodings(params)
    buckets = {name: one.buckets for name, one in encodings.items() if isinstance(one, QuantileEncoding)}
    hashed = {name: one.buckets for name, one in encodings.items() if isinstance(one, HashedEncoding)}
    sizes = dict(zip(*(fields[column].to_pylist() for column in (FIELD, SIZE)), strict=True))
    num_values, num_edges = (
        {name: rows.num_rows for name, rows in by_field(table)} for table in (values, edges)
    )
    known = [name for name in encodings if name not in hashed]
    facts: dict[str, Fact] = {
        "values out of the order of fields": (_num_different(_texts(num_values), _texts(known)), 0, 0),
        "edges out of the order of fields": (_num_different(_texts(num_edges), _texts(buckets)), 0, 0),
    }
    size_of = num_values | hashed
    num_wrong = {
        "wrong size": {
            name: int(size != (FIRST_VALUE + size_of.get(name, 0) if name in encodings else 0))
            for name, size in sizes.items()
        },
        "wrong number of edges": {name: int(num_edges.get(name) != num_values.get(name)) for name in buckets},
        "too many buckets": {name: int(num_values.get(name, 0) > most) for name, most in buckets.items()},
    }
    return facts | facts_by_field(num_wrong)


def value_facts(
    values: pa.Table, edges: pa.Table, count_S: Mapping[str, Counts], params: PrepareExamplesParams
) -> dict[str, Fact]:
    """Codes without holes stand for distinct values in their order, which are as frequent in train as they
    are said to be, and frequent enough.

    Args:
        count_S: field → train's examples with each of its codes.
    """
    encodings, edges_of = _encodings(params), dict(by_field(edges))
    num_wrong: dict[str, dict[str, int]] = defaultdict(dict)
    for name, rows in by_field(values):
        encoding, size, count_V = encodings[name], len(count_S[name]), rows[COUNT].to_numpy()
        num_wrong["holes in the codes"][name] = _num_holes(rows, size)
        num_wrong["wrong counts"][name] = _num_different(count_V, count_S[name][FIRST_VALUE:])
        if isinstance(encoding, QuantileEncoding):
            low_V = edges_of[name][LOW].to_numpy()
            texts = _texts(bucket_texts(low_V))
            num_wrong["holes in the codes of edges"][name] = _num_holes(edges_of[name], size)
            num_wrong["edges out of order"][name] = _num_unordered_edges(low_V)
            num_wrong["values of other edges"][name] = _num_different(rows[VALUE].to_numpy(), texts)
        elif not isinstance(encoding, HashedEncoding):
            num_wrong["values out of order"][name] = _num_unordered(pl.Series(rows[VALUE]), encoding)
            num_wrong["rarer than min_count"][name] = int(np.count_nonzero(count_V < encoding.min_count))
    return facts_by_field(num_wrong)


def _encodings(params: PrepareExamplesParams) -> dict[str, AnyEncoding]:
    """Of the fields with codes of their own."""
    return {name: params.encoding_of(name) for name in params.kinds if name not in params.histories}


def _texts(values: Iterable[Any]) -> Column:
    texts = values.to_pylist() if isinstance(values, pa.ChunkedArray | pa.Array) else [*values]
    return np.array(texts, object)


def _num_holes(rows: pa.Table, size: int) -> int:
    """Places at which the codes are not those from the first value's to the last one's."""
    return _num_different(rows[CODE].to_numpy(), np.arange(FIRST_VALUE, size))


def _num_unordered_edges(low_V: Column) -> int:
    """Edges that do not lie above the one before; the first one is −∞, and no other."""
    misplaced = int(low_V[0] != -np.inf) + np.count_nonzero(~np.isfinite(low_V[1:]))
    return int(misplaced + np.count_nonzero(~(np.diff(low_V) > 0)))


def _num_unordered(values: pl.Series, encoding: AnyEncoding) -> int:
    """Values that do not come after the one before; those of numbers are numbers."""
    if isinstance(encoding, LogSquareEncoding):
        values = values.cast(pl.Float64, strict=False)
    return values.null_count() + int((values.shift(1) >= values).sum())


def _num_different(found: Column, expected: Column) -> int:
    """Places at which two columns differ; what one of them has more counts too."""
    both = min(len(found), len(expected))
    return int(np.count_nonzero(found[:both] != expected[:both])) + max(len(found), len(expected)) - both
