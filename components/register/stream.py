"""What is registered of a model that follows a stream."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from components.core.columns import ITEM, ROW, USER
from components.data.document import read_document
from components.data.parquet import TableFile
from components.register.classification import metrics
from components.registry.served import Served, stream

__all__ = ["metrics", "serve"]

_NUM_EXAMPLES: Final = 3  # of the tail, that come with the model


def serve(inputs: Mapping[str, Path], scratch: Path) -> Served:
    """The model's tables as they are; interactions of the tail to ask it about."""
    classes = read_document(inputs["model"] / "classes.json")["classes"]
    return stream(inputs["model"], classes, _examples(inputs).to_pydict())


def _examples(inputs: Mapping[str, Path]) -> pa.Table:
    """The first interactions of the tail, as they were delivered."""
    file = TableFile(inputs["interactions"] / "interactions.parquet")
    first = next(TableFile(inputs["dataset"] / "test.parquet").parts([ROW], _NUM_EXAMPLES))
    chosen_N = np.zeros(file.num_rows, dtype=bool)
    chosen_N[first[ROW].to_numpy()] = True
    return file.read([USER, ITEM], chosen_N)
