"""What a dataset says of its fields: their codes, and what these stand for.

A field's codes are 0 … size − 1. Whoever reads these tables needs no more than PyArrow.
"""

from typing import Final

import pyarrow as pa

from components.core.columns import CODE, COUNT, ENCODING, FIELD, KIND, LENGTH, LOW, OF, POOLING, SIZE, VALUE

OUT_OF_VOCABULARY: Final = 0  # a value that train does not know, or not often enough
MISSING: Final = 1
FIRST_VALUE: Final = 2  # the code of a field's first value
CODE_TYPE: Final = pa.int32()
CODE_LIST: Final = pa.list_(pa.field("element", CODE_TYPE))  # of several values, as Parquet names it

# one row a field, in the order of the parts' columns
FIELDS: Final = pa.schema(
    [
        (FIELD, pa.string()),
        (KIND, pa.string()),
        (ENCODING, pa.string()),
        (POOLING, pa.string()),  # of a field with several values; else null
        (SIZE, pa.int32()),  # 0 of a history, whose codes are those of another field
        (OF, pa.string()),  # that field; else null
        (LENGTH, pa.int32()),  # of a history; else null
    ]
)
# what codes stand for, by field and code; a hashed field has none
VALUES: Final = pa.schema(
    [(FIELD, pa.string()), (CODE, pa.int32()), (VALUE, pa.string()), (COUNT, pa.int64())]
)
# where the buckets of a quantile field begin; the first one at −∞
EDGES: Final = pa.schema([(FIELD, pa.string()), (CODE, pa.int32()), (LOW, pa.float64())])
