"""The contract of the dataset artifact."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.core.columns import (
    ITEM,
    ITEM_ID,
    NUM_INTERACTIONS,
    NUM_TRAIN,
    PARTS,
    RATING,
    TIMESTAMP,
    USER,
    USER_ID,
)
from components.core.recipe import PrepareParams
from components.core.stage import Validation
from components.data.contracts.examination import Examination, Fact
from components.data.contracts.expectations import between, finite, not_null, row_count, unique
from components.data.document import read_keys

_PREPARATION = (
    "core_reached.users", "core_reached.items", "split.sizes.train", "split.sizes.valid", "split.sizes.test",
    "unseen.policy", "unseen.valid", "unseen.test",
)  # fmt: skip
_OPTIONAL = {RATING: pa.float64(), TIMESTAMP: pa.int64()}
_SIDES = ((USER, USER_ID), (ITEM, ITEM_ID))


def validate(output: Path, params: PrepareParams, inputs: Mapping[str, Path], docs: Path) -> Validation:
    """Check the parts, the vocabularies and what the preparation says of them.

    Raises:
        GateFailedError: an expectation failed.
    """
    exam = Examination("dataset", output, docs)
    train = exam.table("train.parquet", _part_schema)
    parts = [train, *(exam.table(f"{part}.parquet", train.schema) for part in PARTS[1:])]
    vocabularies = [exam.table(f"{dense}s.parquet", vocabulary_schema(dense, raw)) for dense, raw in _SIDES]
    preparation = exam.document("preparation.json", lambda path: read_keys(path, _PREPARATION))
    for (dense, raw), vocabulary in zip(_SIDES, vocabularies, strict=True):
        exam.expect(
            f"{dense}s.parquet",
            vocabulary.to_pandas(),
            [
                row_count(1),
                *(not_null(column) for column in vocabulary.column_names),
                unique(raw),
                between(NUM_INTERACTIONS, 1, None),
                between(NUM_TRAIN, 1, None),
            ],
        )
    sizes = [vocabulary.num_rows for vocabulary in vocabularies]
    for part, table in zip(PARTS, parts, strict=True):
        columns = [name for name in (USER, ITEM, RATING, TIMESTAMP) if name in table.column_names]
        exam.expect(
            f"{part}.parquet",
            table.select(columns).to_pandas(),
            [
                row_count(0 if part == "valid" else 1),
                *map(not_null, columns),
                *([finite(RATING)] if RATING in columns else []),
                between(USER, 0, sizes[0] - 1),
                between(ITEM, 0, sizes[1] - 1),
                unique(USER, ITEM),
            ],
        )
    exam.require()  # what follows counts by id
    exam.facts("dataset", _across(parts, sizes))
    for (dense, raw), vocabulary in zip(_SIDES, vocabularies, strict=True):
        exam.facts(f"{dense}s.parquet", _vocabulary(vocabulary, parts, dense, raw))
    exam.facts("core", _core(vocabularies, preparation, params))
    exam.facts("split", _split(parts, preparation, params))
    return exam.finish()


def vocabulary_schema(dense: str, raw: str) -> Any:
    """The schema of users or items, whose raw ids are text or integers."""

    def schema(found: pa.Schema) -> pa.Schema:
        return pa.schema(
            [
                (dense, pa.int32()),
                (raw, raw_id_type(found, raw)),
                (NUM_INTERACTIONS, pa.int32()),
                (NUM_TRAIN, pa.int32()),
            ]
        )

    return schema


def raw_id_type(found: pa.Schema, raw: str) -> pa.DataType:
    """int64 where that is found, else text."""
    integer = raw in found.names and found.field(raw).type == pa.int64()
    return pa.int64() if integer else pa.string()


def _part_schema(found: pa.Schema) -> pa.Schema:
    others = [name for name in found.names if name not in (USER, ITEM)]
    fields = [(name, _OPTIONAL.get(name, pa.string())) for name in others]
    return pa.schema([(USER, pa.int32()), (ITEM, pa.int32()), *fields])


def _across(parts: Sequence[pa.Table], sizes: Sequence[int]) -> dict[str, Fact]:
    keys = [_keys(table, sizes[1]) for table in parts]
    distinct = len(np.unique(np.concatenate(keys)))
    return {
        "pairs in two parts": (sum(map(len, keys)) - distinct, 0, 0),
        "rows out of order": (sum(int((np.diff(key) <= 0).sum()) for key in keys), 0, 0),
    }


def _keys(table: pa.Table, num_items: int) -> npt.NDArray[np.int64]:
    keys: npt.NDArray[np.int64] = table[USER].to_numpy().astype(np.int64) * num_items + table[ITEM].to_numpy()
    return keys


def _vocabulary(vocabulary: pa.Table, parts: Sequence[pa.Table], dense: str, raw: str) -> dict[str, Fact]:
    size = vocabulary.num_rows
    counts = [np.bincount(table[dense].to_numpy(), minlength=size) for table in parts]
    ids = vocabulary[raw].combine_chunks()
    return {
        "holes in the dense ids": (_differences(vocabulary[dense], np.arange(size)), 0, 0),
        "raw ids out of order": (pc.sum(pc.less_equal(ids[1:], ids[:-1])).as_py() or 0, 0, 0),
        f"wrong {NUM_INTERACTIONS}": (_differences(vocabulary[NUM_INTERACTIONS], sum(counts)), 0, 0),
        f"wrong {NUM_TRAIN}": (_differences(vocabulary[NUM_TRAIN], counts[0]), 0, 0),
    }


def _differences(column: pa.ChunkedArray, expected: Any) -> int:
    return int((column.to_numpy() != expected).sum())


def _core(
    vocabularies: Sequence[pa.Table], preparation: Mapping[str, Any], params: PrepareParams
) -> dict[str, Fact]:
    """The core was reached before the split. Each interaction that was dropped as unseen afterwards took
    one from one user and one from one item, so all that is missing is no more than was dropped."""
    dropped = _dropped(preparation)
    thresholds = params.thresholds()
    facts: dict[str, Fact] = {}
    for name, vocabulary, k in zip(
        ("users", "items"), vocabularies, (thresholds.users, thresholds.items), strict=True
    ):
        missing = np.maximum(k - vocabulary[NUM_INTERACTIONS].to_numpy(), 0)
        facts[f"least interactions of {name} before the split"] = (preparation["core_reached"][name], k, None)
        facts[f"interactions that {name} lack"] = (int(missing.sum()), 0, dropped)
    return facts


def _dropped(preparation: Mapping[str, Any]) -> int:
    unseen = preparation["unseen"]
    return unseen["valid"] + unseen["test"] if unseen["policy"] == "drop" else 0


def _split(
    parts: Sequence[pa.Table], preparation: Mapping[str, Any], params: PrepareParams
) -> dict[str, Fact]:
    before, unseen = preparation["split"]["sizes"], preparation["unseen"]
    gone = {"train": 0, "valid": unseen["valid"], "test": unseen["test"]}
    if unseen["policy"] == "move":
        gone["train"] = -unseen["valid"] - unseen["test"]
    facts: dict[str, Fact] = {}
    for part, table in zip(PARTS, parts, strict=True):
        left = before[part] - gone[part]
        facts[f"{part} rows"] = (table.num_rows, left, left)
    split = params.split
    if split.kind in {"random", "temporal"}:
        count = sum(before.values())
        shares = [Fraction(str(share)) for share in split.ratio]
        for part, share in zip(PARTS, shares, strict=True):
            quota = float(count * share / sum(shares))
            facts[f"{part} rows before unseen ones went"] = (before[part], quota - 1, quota + 1)
    if split.kind == "leave_one_out":
        for part, table in zip(PARTS[1:], parts[1:], strict=True):
            most = int(np.bincount(table[USER].to_numpy()).max(initial=0))
            facts[f"most {part} rows of one user"] = (most, 0, 1)
        test = before["test"]  # whoever tests validates too
        facts["valid rows before unseen ones went"] = (before["valid"], test, test)
    if split.kind == "temporal":
        facts |= _in_time([table[TIMESTAMP].to_numpy() for table in parts])
    return facts


def _in_time(times: Sequence[npt.NDArray[np.int64]]) -> dict[str, Fact]:
    present = [(part, time) for part, time in zip(PARTS, times, strict=True) if len(time)]
    return {
        f"seconds from the last of {early} to the first of {late}": (int(after.min() - before.max()), 0, None)
        for (early, before), (late, after) in pairwise(present)
    }
