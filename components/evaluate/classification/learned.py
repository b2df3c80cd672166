"""What the champion has learned of the test."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from components.core.columns import PART, ROW
from components.core.manifest import read_manifest
from components.data.document import read_document
from components.data.hashes import Hashes, hash_rows
from components.data.parquet import TableFile
from components.evaluate.ancestry import CHAMPION_DATASET, CHAMPION_INTERACTIONS
from components.evaluate.classification.exam import Exam


def learned_share(exam: Exam, inputs: Mapping[str, Path]) -> float | None:
    """The share of the test examples that stand in the champion's train or valid; None where nobody can tell.

    Of the same interactions examples are the same by their place; of others by their whole content.
    """
    if CHAMPION_DATASET not in inputs:
        return None
    row_L = _learned_rows(inputs[CHAMPION_DATASET])
    theirs = read_manifest(str(inputs[CHAMPION_DATASET])).inputs["interactions"].sha256
    if _sha256(inputs.get("interactions")) == theirs:
        return float(np.isin(exam.row_N, row_L).mean())
    if _sha256(inputs.get(CHAMPION_INTERACTIONS)) != theirs:
        return None
    test, learned = (
        TableFile(inputs[name] / "interactions.parquet") for name in ("interactions", CHAMPION_INTERACTIONS)
    )
    columns = [name for name in test.schema.names if name != PART]
    if columns != [name for name in learned.schema.names if name != PART]:
        return None
    fields = read_document(inputs["interactions"] / "profile.json")["fields"]
    # a delivery that begins later knows less of what came before the same example
    columns = [name for name in columns if name not in fields or fields[name]["kind"] != "history"]
    return float(np.isin(_content(test, columns, exam.row_N), _content(learned, columns, row_L)).mean())


def _sha256(artifact: Path | None) -> str | None:
    return None if artifact is None else read_manifest(str(artifact)).sha256


def _learned_rows(dataset: Path) -> NDArray[np.int64]:
    return np.concatenate([TableFile(dataset / f"{part}.parquet").values(ROW) for part in ("train", "valid")])


def _content(file: TableFile, columns: list[str], row_N: NDArray[np.int64]) -> Hashes:
    """Hashes of some examples: label, fields, and time if there is one."""
    chosen_R = np.zeros(file.num_rows, dtype=np.bool_)
    chosen_R[row_N] = True
    parts = [
        hash_rows(_hashable(part[name].combine_chunks()) for name in columns)
        for part in file.parts(columns, chosen=chosen_R)
        if part.num_rows
    ]
    return np.concatenate([np.empty(0, np.uint64), *parts])


def _hashable(column: pa.Array) -> pa.Array:
    """Label and time as float64, which holds them exactly."""
    return column.cast(pa.float64()) if pa.types.is_integer(column.type) else column
