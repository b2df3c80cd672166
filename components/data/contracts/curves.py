"""What every table must be that tells how a training went: one row an epoch, or a stretch of a stream."""

from typing import Final

import numpy as np
import pyarrow as pa

from components.core.columns import INTERACTIONS, LOSS, TRAIN_LOSS, axis_of
from components.data.contracts.examination import Examination, Fact
from components.data.contracts.expectations import between, not_null

_SHARES: Final = ("auc", "accuracy", "mse", "ece")
_NOT_NEGATIVE: Final = ("logloss", "calibration")


def curves_schema(found: pa.Schema) -> pa.Schema:
    """The epoch, int32, or the interactions of a stream so far, int64; and any columns of float64."""
    axis = axis_of(found.names)
    kind = pa.int64() if axis == INTERACTIONS else pa.int32()
    return pa.schema([(axis, kind), *((name, pa.float64()) for name in found.names if name != axis)])


def expect_curves(exam: Examination, name: str, table: pa.Table) -> None:
    """The axis ascends, losses are finite, metrics lie in [0, 1] or are not negative; a metric may be null in
    an epoch that was not validated, a loss in epoch 0, before training, alone."""
    axis = axis_of(table.column_names)
    shares = [column for column in table.column_names if "@" in column or column in _SHARES]
    others = [column for column in table.column_names if column in _NOT_NEGATIVE]
    exam.expect(
        name,
        table.select([axis, *shares, *others]).to_pandas(),
        [
            not_null(axis),
            between(axis, 0, None),
            *(between(column, 0, 1) for column in shares),
            *(between(column, 0, None) for column in others),
        ],
    )
    place = table[axis].to_numpy()
    facts: dict[str, Fact] = {
        f"{axis.removesuffix('s')}s out of order": (int((np.diff(place) <= 0).sum()), 0, 0)
    }
    for column in table.column_names:
        if column == TRAIN_LOSS or column.startswith(LOSS):
            values = table[column].to_numpy()
            facts[f"{column} not finite"] = (int((~np.isfinite(values[place > 0])).sum()), 0, 0)
    exam.facts(name, facts)
