"""The questions of a test: examples whose labels are known."""

from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from components.core.columns import LABEL, ROW
from components.core.errors import InvalidInputError
from components.data.document import read_document
from components.data.parquet import TableFile
from components.metrics.classification import Floats, absent_classes


@final
@dataclass(frozen=True, kw_only=True)
class Exam:
    """N test examples of C classes.

    Attributes:
        row_N: their places in the interactions, ascending.
        label_N: places in `classes`.
        prior_C: shares of the classes in train.
    """

    classes: tuple[str, ...]
    row_N: NDArray[np.int64]
    label_N: NDArray[np.int64]
    prior_C: Floats

    def __len__(self) -> int:
        return len(self.label_N)

    def asked(self, num_rows: int) -> NDArray[np.bool_]:
        """Which of the interactions' rows are test examples."""
        asked_R = np.zeros(num_rows, dtype=np.bool_)
        asked_R[self.row_N] = True
        return asked_R


def read_exam(dataset: Path) -> Exam:
    """The exam of a dataset artifact.

    Raises:
        InvalidInputError: a class has no test examples, so that no AUC can be measured.
    """
    preparation, test = read_document(dataset / "preparation.json"), TableFile(dataset / "test.parquet")
    classes = tuple(preparation["classes"])
    row_N = test.values(ROW)
    order_N = np.argsort(row_N)  # a stream's are in the order of time
    label_N = test.values(LABEL).astype(np.int64)[order_N]
    if absent := absent_classes(label_N, len(classes)):
        named = ", ".join(repr(classes[place]) for place in absent)
        raise InvalidInputError(
            f"dataset: got no test examples of class {named}, need at least one of each to evaluate a model"
        )
    count_C = np.array([preparation["class_counts"]["train"][name] for name in classes], dtype=np.float64)
    return Exam(classes=classes, row_N=row_N[order_N], label_N=label_N, prior_C=count_C / count_C.sum())
