"""The schema of vocabularies and of their ids; the images without Polars read it too."""

from typing import Any

import pyarrow as pa

from components.core.columns import NUM_INTERACTIONS, NUM_TRAIN


def vocabulary_schema(dense: str, raw: str) -> Any:
    """The schema of users or items, whose raw ids are text or integers."""

    def schema(found: pa.Schema) -> pa.Schema:
        return pa.schema(
            [
                (dense, pa.int32()),
                (raw, raw_id_type(found, raw)),
                (NUM_INTERACTIONS, pa.int32()),
                (NUM_TRAIN, pa.int32()),
            ]
        )

    return schema


def raw_id_type(found: pa.Schema, raw: str) -> pa.DataType:
    """int64 where that is found, else text."""
    integer = raw in found.names and found.field(raw).type == pa.int64()
    return pa.int64() if integer else pa.string()
