"""The schemas of an evaluation's tables."""

from typing import Final

import pyarrow as pa

from components.core.columns import CHAMPION_VALUE, MEASURE, METRIC, MODEL, NUM_USERS, SLICE, USERS, VALUE, K
from components.core.verdict import BeyondAccuracy, SliceResult

METRICS_SCHEMA: Final = pa.schema(
    [
        (METRIC, pa.string()),
        (K, pa.int32()),
        (VALUE, pa.float64()),
        (NUM_USERS, pa.int64()),
        (CHAMPION_VALUE, pa.float64()),
    ]
)
SAMPLED: Final = pa.schema(
    [(MODEL, pa.string()), (METRIC, pa.string()), (K, pa.int32()), (VALUE, pa.float64())]
)
_WORDS: Final = {SLICE: pa.string(), METRIC: pa.string(), USERS: pa.int64()}
SLICES: Final = pa.schema([(name, _WORDS.get(name, pa.float64())) for name in SliceResult.model_fields])
BEYOND_ACCURACY: Final = pa.schema(
    [(MEASURE, pa.string()), (K, pa.int32()), *((name, pa.float64()) for name in BeyondAccuracy.model_fields)]
)
