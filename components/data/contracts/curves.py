"""What every table with one row an epoch must be."""

from typing import Final

import numpy as np
import pyarrow as pa

from components.core.columns import EPOCH, TRAIN_LOSS
from components.data.contracts.examination import Examination, Fact
from components.data.contracts.expectations import between, not_null

LOSS_PREFIX: Final = "loss_"


def curves_schema(found: pa.Schema) -> pa.Schema:
    """The epoch, int32, and any columns of float64."""
    return pa.schema([(EPOCH, pa.int32()), *((name, pa.float64()) for name in found.names if name != EPOCH)])


def expect_curves(exam: Examination, name: str, table: pa.Table) -> None:
    """Epochs ascend, losses are finite, metrics lie in [0, 1]; a metric may be null in an epoch that was
    not validated, a loss in epoch 0, before training, alone."""
    metrics = [column for column in table.column_names if "@" in column]
    exam.expect(
        name,
        table.select([EPOCH, *metrics]).to_pandas(),
        [not_null(EPOCH), between(EPOCH, 0, None), *(between(column, 0, 1) for column in metrics)],
    )
    epochs = table[EPOCH].to_numpy()
    facts: dict[str, Fact] = {"epochs out of order": (int((np.diff(epochs) <= 0).sum()), 0, 0)}
    for column in table.column_names:
        if column == TRAIN_LOSS or column.startswith(LOSS_PREFIX):
            values = table[column].to_numpy()
            facts[f"{column} not finite"] = (int((~np.isfinite(values[epochs > 0])).sum()), 0, 0)
    exam.facts(name, facts)
