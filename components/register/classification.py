"""What is registered of a model that classifies."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from components.core.columns import FIELD, KIND, ROW
from components.core.verdict import VERDICT_FILE, ExampleVerdict
from components.data.document import read_document
from components.data.parquet import TableFile, read_table
from components.registry.served import Served, classifier

_NUM_EXAMPLES: Final = 3  # of the test part, that come with the model


def serve(inputs: Mapping[str, Path], scratch: Path) -> Served:
    """The model's tables and network as they are; examples of the test part to ask it about."""
    model = inputs["model"]
    fields = read_table(model / "fields.parquet")
    kinds = dict(zip(fields[FIELD].to_pylist(), fields[KIND].to_pylist(), strict=True))
    classes = read_document(model / "classes.json")["classes"]
    return classifier(model, kinds, classes, _examples(inputs, list(kinds)).to_pydict())


def metrics(evaluation: Path) -> dict[str, float]:
    """Those of the test, by name such as `auc`."""
    verdict = ExampleVerdict.read(evaluation / VERDICT_FILE)
    return {name: measure.challenger for name, measure in verdict.metrics.items()}


def _examples(inputs: Mapping[str, Path], fields: Sequence[str]) -> pa.Table:
    """The first examples of the test part, as they were delivered."""
    file = TableFile(inputs["interactions"] / "interactions.parquet")
    first = next(TableFile(inputs["dataset"] / "test.parquet").parts([ROW], _NUM_EXAMPLES))
    chosen_N = np.zeros(file.num_rows, dtype=bool)
    chosen_N[first[ROW].to_numpy()] = True
    found: list[pa.Table] = []
    for part in file.parts(fields, chosen=chosen_N):
        found.append(part)
        if sum(map(len, found)) == len(first):
            break
    return pa.concat_tables(found)
