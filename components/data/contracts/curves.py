"""What every table with one row an epoch must be."""

from typing import Final

import numpy as np
import pyarrow as pa

from components.core.columns import EPOCH, LOSS, TRAIN_LOSS
from components.data.contracts.examination import Examination, Fact
from components.data.contracts.expectations import between, not_null

_SHARES: Final = ("auc", "ece")
_NOT_NEGATIVE: Final = ("logloss", "calibration")


def curves_schema(found: pa.Schema) -> pa.Schema:
    """The epoch, int32, and any columns of float64."""
    return pa.schema([(EPOCH, pa.int32()), *((name, pa.float64()) for name in found.names if name != EPOCH)])


def expect_curves(exam: Examination, name: str, table: pa.Table) -> None:
    """Epochs ascend, losses are finite, metrics lie in [0, 1] or are not negative; a metric may be null in
    an epoch that was not validated, a loss in epoch 0, before training, alone."""
    shares = [column for column in table.column_names if "@" in column or column in _SHARES]
    others = [column for column in table.column_names if column in _NOT_NEGATIVE]
    exam.expect(
        name,
        table.select([EPOCH, *shares, *others]).to_pandas(),
        [
            not_null(EPOCH),
            between(EPOCH, 0, None),
            *(between(column, 0, 1) for column in shares),
            *(between(column, 0, None) for column in others),
        ],
    )
    epochs = table[EPOCH].to_numpy()
    facts: dict[str, Fact] = {"epochs out of order": (int((np.diff(epochs) <= 0).sum()), 0, 0)}
    for column in table.column_names:
        if column == TRAIN_LOSS or column.startswith(LOSS):
            values = table[column].to_numpy()
            facts[f"{column} not finite"] = (int((~np.isfinite(values[epochs > 0])).sum()), 0, 0)
    exam.facts(name, facts)
