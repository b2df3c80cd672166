"""The contract of the promotion artifact."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from components.core.recipe import PromoteParams
from components.core.stage import Validation
from components.data.contracts.examination import Examination
from components.data.contracts.expectations import in_set, not_null, row_count
from components.data.document import read_keys

_SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("action", pa.string()),
        ("from_version", pa.string()),
        ("to_version", pa.string()),
        ("promoted", pa.bool_()),
        ("who", pa.string()),
        ("when", pa.string()),
        ("why", pa.string()),
        ("entry", pa.int64()),
        ("entry_sha256", pa.string()),
    ]
)
_MAY_LACK = {"from_version", "to_version"}


def validate(output: Path, params: PromoteParams, inputs: Mapping[str, Path], docs: Path) -> Validation:
    """Check that the row and the document agree, and that what was done is what was decided.

    Raises:
        GateFailedError: an expectation failed.
    """
    exam = Examination("promotion", output, docs)
    document = exam.document("promotion.json", lambda path: read_keys(path, [*_SCHEMA.names, "evidence"]))
    table = exam.table("promotion.parquet", _SCHEMA)
    done = params.action if params.approved else "reject"
    exam.expect(
        "promotion.parquet",
        table.to_pandas(),
        [
            row_count(1, 1),
            *(not_null(column) for column in _SCHEMA.names if column not in _MAY_LACK),
            in_set("model", [params.model]),
            in_set("action", [done]),
            in_set("who", [params.who]),
        ],
    )
    exam.require()
    row = table.to_pylist()[0]
    stays = row["from_version"] == row["to_version"]
    exam.facts(
        "promotion.json",
        {
            "fields that differ from the table": (sum(document[name] != row[name] for name in row), 0, 0),
            "the champion stays": (stays, not row["promoted"], not row["promoted"]),
        },
    )
    return exam.finish()
