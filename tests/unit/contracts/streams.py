# ruff: noqa: E501  (a table reads best with one case a line)
"""What the contracts of streams are tried with: a dataset, changes, and sizes of embeddings."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import save_file

from components.core.errors import GateFailedError
from components.core.recipe.stream import AutoEmb, Darts, Esapn, FixedSize
from components.core.stage import Validation
from components.data.document import write_document
from components.data.parquet import fingerprint, read_table, write_table

from . import artifacts as a

NUMBERS = itertools.count()
NAN, INF = float("nan"), float("inf")
FLOATS = pa.list_(pa.field("element", pa.float32()))
INTS = pa.list_(pa.field("element", pa.int32()))
CASE = dict[str, a.Break]  # what the message must say, with the change that makes it so


def nothing(root: Path) -> None:
    """What another change of the same case has brought about."""


def stopped(examined: Any, told: Mapping[str, a.Break], docs: Path) -> None:
    """Whether every broken thing is named."""
    with pytest.raises(GateFailedError) as error:
        examined()
    assert [text for text in told if text not in str(error.value)] == []
    assert (docs / "data_docs" / "index.html").is_file()


def ids_of(cases: list[CASE]) -> list[str]:
    return [next(iter(case))[:70] for case in cases]


def described(found: Validation, output: Path) -> bool:
    """Whether every table of the artifact is among what a contract has looked at, as it is."""
    tables = {path.name: read_table(path) for path in output.glob("*.parquet")}
    return found.tables == {
        name: (table.num_rows, fingerprint(table.schema)) for name, table in tables.items()
    }


TRAIN, TEST, USERS, ITEMS = (f"{name}.parquet" for name in ("train", "test", "users", "items"))
STREAM = {
    "train": {"row": [1, 3, 0, 2], "label": [1, 1, 0, 0], "user": [0, 1, 1, 2], "item": [0, 0, 1, 1], "timestamp": [10, 20, 30, 30]},
    "test": {"row": [4, 5], "label": [0, 1], "user": [0, 3], "item": [2, 0], "timestamp": [30, 40]},
}  # fmt: skip
IDS = {
    "user": (["a", "b", "c", "d"], [2, 2, 1, 1], [1, 2, 1, 0]),
    "item": (["x", "y", "z"], [3, 2, 1], [2, 2, 0]),
}


def dataset(root: Path) -> None:
    """Six interactions; one that was delivered before the others comes after them in time."""
    for part, columns in STREAM.items():
        types = {"row": pa.int64(), "timestamp": pa.int64()}
        arrays = {name: pa.array(values, types.get(name, pa.int32())) for name, values in columns.items()}
        write_table(pa.table(arrays), root / f"{part}.parquet")
    for side, (raw, total, train) in IDS.items():
        table = {
            side: pa.array(range(len(raw)), pa.int32()),
            f"{side}_id": raw,
            "num_interactions": pa.array(total, pa.int32()),
            "num_train": pa.array(train, pa.int32()),
        }
        write_table(pa.table(table), root / f"{side}s.parquet")
    document = {
        "classes": ["no", "yes"],
        "thresholds": None,
        "tied": 0,
        "sizes": {"train": 4, "test": 2},
        "class_counts": {"train": {"no": 2, "yes": 2}, "test": {"no": 1, "yes": 1}},
        "unknown": {"user": 0.5, "item": 0.5},
        "order": {"policy": "sort", "late": 3},
        "left_out": 0,
        "learned_until": None,
        "last_timestamp": 40,
    }
    write_document(document, root / "preparation.json")


ESAPN = Esapn(sizes=(2, 4))
DARTS = Darts(sizes=(2, 4))
AUTOEMB = AutoEmb(sizes=(2, 4))
FIXED = FixedSize(size=3)
Sizing = Esapn | Darts | AutoEmb | FixedSize
RAW = {"user": ["a", "b", "c"], "item": ["x", "y"]}


def sizes_of(config: Sizing, side: str) -> tuple[list[int], dict[str, int]]:
    """The sizes of one side's ids, and what is told of them."""
    count = len(RAW[side])
    if isinstance(config, FixedSize):
        return [3] * count, {"3": count}
    if isinstance(config, Esapn):
        return [2, 4, 2][:count], {"2": count - 1, "4": 1}
    return [6] * count, {"2": count, "4": count}


def size_table(config: Sizing, side: str) -> dict[str, Any]:
    count = len(RAW[side])
    return {
        side: pa.array(range(count), pa.int32()),
        f"{side}_id": RAW[side],
        "seen": pa.array(range(1, count + 1), pa.int32()),
        "size": pa.array(sizes_of(config, side)[0], pa.int32()),
    }


def course(root: Path, name: str) -> None:
    """Two stretches of a stream."""
    table = {
        "interactions": pa.array([500, 800], pa.int64()),
        "accuracy": [0.5, 0.6],
        "mse": [0.25, 0.2],
        **{f"{what}_{side}": [2.0, 3.0] for side in RAW for what in ("mean_size", "bytes")},
    }
    write_table(pa.table(table), root / name)


def weights(file: str, value: float = 1.0) -> a.Break:
    def change(root: Path) -> None:
        save_file({"weight": np.array([1, value], np.float32)}, root / file)

    return change
