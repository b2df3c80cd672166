"""The contract of the registration artifact."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from components.core.recipe import RegisterParams
from components.core.stage import Validation
from components.data.contracts.examination import Examination
from components.data.contracts.expectations import in_set, not_null, row_count
from components.data.document import read_keys

_SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("version", pa.string()),
        ("run_id", pa.string()),
        ("promoted", pa.bool_()),
        ("reason", pa.string()),
        ("previous_champion_version", pa.string()),
        ("ledger", pa.string()),
    ]
)
_ALWAYS = ("model", "version", "run_id", "promoted", "reason", "ledger")


def validate(output: Path, params: RegisterParams, inputs: Mapping[str, Path], docs: Path) -> Validation:
    """Check that row, document and card agree, and the aliases with the decision.

    Raises:
        GateFailedError: an expectation failed.
    """
    exam = Examination("registration", output, docs)
    keys = [*_SCHEMA.names, "aliases"]
    document = exam.document("registration.json", lambda path: read_keys(path, keys))
    table = exam.table("registration.parquet", _SCHEMA)
    exam.expect(
        "registration.parquet",
        table.to_pandas(),
        [row_count(1, 1), *(not_null(column) for column in _ALWAYS), in_set("model", [params.model])],
    )
    card = exam.document("model_card.md", lambda path: path.read_text(encoding="utf-8"))
    exam.require()
    row = table.to_pylist()[0]
    promoted = "champion" in document["aliases"]
    exam.facts(
        "registration.json",
        {
            "fields that differ from the table": (sum(document[name] != row[name] for name in row), 0, 0),
            "has the alias challenger": ("challenger" in document["aliases"], 1, 1),
            "promoted": (row["promoted"], promoted, promoted),
            "version is a number": (row["version"].isdecimal(), 1, 1),
        },
    )
    named = card.startswith(f"# {row['model']}, version {row['version']}\n")
    exam.facts("model_card.md", {"names the model and the version": (named, 1, 1)})
    return exam.finish()
