"""The contract of the dataset artifact."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from components.core.columns import (
    ITEM,
    ITEM_ID,
    NUM_INTERACTIONS,
    NUM_TRAIN,
    PART,
    PARTS,
    POSITION,
    RATING,
    TIMESTAMP,
    USER,
    USER_ID,
)
from components.core.gates import Gate
from components.core.recipe import PrepareParams
from components.core.stage import Validation
from components.data.contracts.dataset.leaks import future_gates, leak_gate
from components.data.contracts.deliveries import vocabulary_gates
from components.data.contracts.examination import Examination, Fact
from components.data.contracts.expectations import between, finite, not_null, row_count, unique
from components.data.contracts.vocabulary import vocabulary_schema
from components.data.document import read_keys
from components.data.parquet import TableFile, read_table
from components.data.scanning import num_out_of_order, parts_by
from components.data.vocabulary import Counts, count_codes

_PREPARATION = (
    "core_reached.users", "core_reached.items", "split.sizes.train", "split.sizes.valid", "split.sizes.test",
    "unseen.policy", "unseen.valid", "unseen.test",
)  # fmt: skip
_OPTIONAL = {RATING: pa.float64(), TIMESTAMP: pa.int64(), POSITION: pa.int64()}
_COMPARED = 1 << 22  # interactions whose pairs are compared at a time
_SIDES = ((USER, USER_ID), (ITEM, ITEM_ID))


def validate(output: Path, params: PrepareParams, inputs: Mapping[str, Path], docs: Path) -> Validation:
    """Check the parts, the vocabularies and what the preparation says of them; that nothing leaks between
    the parts; and how much of the champion's vocabulary is left.

    Raises:
        GateFailedError: an expectation failed.
    """
    exam = Examination("dataset", output, docs)
    train = exam.file("train.parquet", _part_schema)
    parts = [train, *(exam.file(f"{part}.parquet", train.schema) for part in PARTS[1:])]
    vocabularies = [exam.file(f"{dense}s.parquet", vocabulary_schema(dense, raw)) for dense, raw in _SIDES]
    preparation = exam.document("preparation.json", lambda path: read_keys(path, _PREPARATION))
    for (dense, raw), vocabulary in zip(_SIDES, vocabularies, strict=True):
        exam.expect(
            f"{dense}s.parquet",
            (part.to_pandas() for part in parts_by(vocabulary, raw, vocabulary.schema.names)),
            [
                row_count(1),
                *(not_null(column) for column in vocabulary.schema.names),
                unique(raw),
                between(NUM_INTERACTIONS, 1, None),
                between(NUM_TRAIN, 1, None),
            ],
        )
    sizes = [vocabulary.num_rows for vocabulary in vocabularies]
    for part, table in zip(PARTS, parts, strict=True):
        columns = [name for name in (USER, ITEM, RATING, TIMESTAMP, POSITION) if name in table.schema.names]
        exam.expect(
            f"{part}.parquet",
            (part.to_pandas() for part in parts_by(table, USER, columns)),
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
    num_wrong = sum(num_out_of_order(table, USER, ITEM) for table in parts)
    exam.facts("dataset", {"rows out of order": (num_wrong, 0, 0)})
    counts = {
        dense: [_counts(table, dense, size) for table in parts]
        for (dense, _), size in zip(_SIDES, sizes, strict=True)
    }
    for (dense, raw), vocabulary in zip(_SIDES, vocabularies, strict=True):
        exam.facts(f"{dense}s.parquet", _vocabulary(vocabulary, counts[dense], dense, raw))
    exam.facts("core", _core(vocabularies, preparation, params))
    exam.facts("split", _split(parts, counts[USER], preparation, params))
    exam.gate(_leaks(parts, np.sum(counts[USER], axis=0), sizes[1], params))
    if "champion" in inputs:
        now, before = _raw_ids(output), _raw_ids(inputs["champion"])
        exam.gate(vocabulary_gates(params.vocabulary, now, before))
    names = [*PARTS, *(f"{dense}s" for dense, _ in _SIDES)]
    for name, table in zip(names, [*parts, *vocabularies], strict=True):
        exam.own(name, table, params.expectations)
    return exam.finish(docs=True)


def schemas(interactions: pa.Schema) -> dict[str, pa.Schema]:
    """Name of a table → what prepare makes of interactions with a schema."""
    part = [field for field in interactions if field.name not in (USER_ID, ITEM_ID, PART)]
    named = {name: _part_schema(pa.schema([(USER, pa.int32()), (ITEM, pa.int32()), *part])) for name in PARTS}
    return named | {f"{dense}s": vocabulary_schema(dense, raw)(interactions) for dense, raw in _SIDES}


def _part_schema(found: pa.Schema) -> pa.Schema:
    others = [name for name in found.names if name not in (USER, ITEM)]
    fields = [(name, _OPTIONAL.get(name, pa.string())) for name in others]
    return pa.schema([(USER, pa.int32()), (ITEM, pa.int32()), *fields])


def _counts(table: TableFile, column: str, size: int) -> Counts:
    count = np.zeros(size, np.int64)
    for part in table.parts([column]):
        count += count_codes(part[column].to_numpy(), size)
    return count


def _leaks(
    parts: Sequence[TableFile], count_U: Counts, num_items: int, params: PrepareParams
) -> Iterator[Gate]:
    """No pair stands in two parts, and where time splits, no part knows the future of another."""
    count = _num_repeated(parts, count_U, num_items)
    told = f"{count:,} interactions stand in two of train, valid and test"
    yield leak_gate("leaked_pairs", count, told)
    if params.split.kind == "temporal":
        yield from future_gates(dict(zip(PARTS, parts, strict=True)), "interactions")


def _num_repeated(parts: Sequence[TableFile], count_U: Counts, num_items: int) -> int:
    """How many pairs stand somewhere else too, counted for a range of users at a time."""
    codes = [(table.values(USER), table.values(ITEM)) for table in parts]
    if any((user_N[1:] < user_N[:-1]).any() for user_N, _ in codes):
        ranges = [(0, len(count_U))]
    else:
        ends = np.flatnonzero(np.diff(np.cumsum(count_U) // _COMPARED, append=-1)) + 1
        ranges = list(pairwise([0, *ends.tolist()]))
    repeated = 0
    for first, end in ranges:
        keys = []
        for user_N, item_N in codes:
            here = slice(None)
            if len(ranges) > 1:
                here = slice(*np.searchsorted(user_N, [first, end]).tolist())
            keys.append(user_N[here].astype(np.int64) * num_items + item_N[here])
        together = np.sort(np.concatenate(keys))
        repeated += int(np.count_nonzero(together[1:] == together[:-1]))
    return repeated


def _raw_ids(dataset: Path) -> dict[str, pl.Series]:
    return {f"{dense}s": pl.Series(read_table(dataset / f"{dense}s.parquet")[raw]) for dense, raw in _SIDES}


def _vocabulary(vocabulary: TableFile, counts: Sequence[Counts], dense: str, raw: str) -> dict[str, Fact]:
    return {
        "holes in the dense ids": (_differences(vocabulary, dense, np.arange(vocabulary.num_rows)), 0, 0),
        "raw ids out of order": (num_out_of_order(vocabulary, raw), 0, 0),
        f"wrong {NUM_INTERACTIONS}": (_differences(vocabulary, NUM_INTERACTIONS, sum(counts)), 0, 0),
        f"wrong {NUM_TRAIN}": (_differences(vocabulary, NUM_TRAIN, counts[0]), 0, 0),
    }


def _differences(vocabulary: TableFile, column: str, expected: Any) -> int:
    return int((vocabulary.values(column) != expected).sum())


def _core(
    vocabularies: Sequence[TableFile], preparation: Mapping[str, Any], params: PrepareParams
) -> dict[str, Fact]:
    """The core was reached before the split. Each interaction that was dropped as unseen afterwards took
    one from one user and one from one item, so all that is missing is no more than was dropped."""
    dropped = _dropped(preparation)
    thresholds = params.thresholds()
    facts: dict[str, Fact] = {}
    for name, vocabulary, k in zip(
        ("users", "items"), vocabularies, (thresholds.users, thresholds.items), strict=True
    ):
        missing = np.maximum(k - vocabulary.values(NUM_INTERACTIONS), 0)
        facts[f"least interactions of {name} before the split"] = (preparation["core_reached"][name], k, None)
        facts[f"interactions that {name} lack"] = (int(missing.sum()), 0, dropped)
    return facts


def _dropped(preparation: Mapping[str, Any]) -> int:
    unseen = preparation["unseen"]
    return unseen["valid"] + unseen["test"] if unseen["policy"] == "drop" else 0


def _split(
    parts: Sequence[TableFile],
    count_U: Sequence[Counts],
    preparation: Mapping[str, Any],
    params: PrepareParams,
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
        for part, count in zip(PARTS[1:], count_U[1:], strict=True):
            facts[f"most {part} rows of one user"] = (int(count.max(initial=0)), 0, 1)
        test = before["test"]  # whoever tests validates too
        facts["valid rows before unseen ones went"] = (before["valid"], test, test)
    return facts
