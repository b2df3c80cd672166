"""The schemas of the tables of a classifier's evaluation."""

from typing import Final

import pyarrow as pa

from components.core.columns import (
    BIN,
    CHAMPION_PROBABILITIES,
    CHAMPION_VALUE,
    CLASS,
    EXAMPLES,
    FIELD,
    LABEL,
    MEAN_PROBABILITY,
    METRIC,
    MODEL,
    NUM_EXAMPLES,
    OBSERVED,
    PRIOR_VALUE,
    PROBABILITIES,
    ROW,
    VALUE,
)
from components.core.verdict import ExampleSlice

METRICS_SCHEMA: Final = pa.schema(
    [
        (METRIC, pa.string()),
        (VALUE, pa.float64()),
        (NUM_EXAMPLES, pa.int64()),
        (CHAMPION_VALUE, pa.float64()),
        (PRIOR_VALUE, pa.float64()),
    ]
)
_WORDS: Final = {FIELD: pa.string(), VALUE: pa.string(), METRIC: pa.string(), EXAMPLES: pa.int64()}
SLICES: Final = pa.schema([(name, _WORDS.get(name, pa.float64())) for name in ExampleSlice.model_fields])
CALIBRATION: Final = pa.schema(
    [
        (MODEL, pa.string()),
        (CLASS, pa.string()),
        (BIN, pa.int32()),
        (EXAMPLES, pa.int64()),
        (MEAN_PROBABILITY, pa.float64()),
        (OBSERVED, pa.float64()),
    ]
)


def per_example_schema(num_classes: int, *, champion: bool) -> pa.Schema:
    """One row a test example: its place in the interactions, its label, what the models say of it."""
    vector = pa.list_(pa.field("element", pa.float64()), num_classes)  # as Parquet names it
    models = [PROBABILITIES, *([CHAMPION_PROBABILITIES] if champion else [])]
    return pa.schema([(ROW, pa.int64()), (LABEL, pa.int32()), *((name, vector) for name in models)])
