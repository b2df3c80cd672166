"""The contract of the dataset artifact of a stream."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from components.core.columns import (
    ITEM,
    ITEM_ID,
    LABEL,
    NUM_INTERACTIONS,
    NUM_TRAIN,
    ROW,
    TIMESTAMP,
    USER,
    USER_ID,
)
from components.core.gates import Gate
from components.core.recipe import PrepareStreamParams
from components.core.stage import Validation
from components.data.contracts.dataset.leaks import future_gates, leak_gate
from components.data.contracts.dataset.value_gates import unknown_gate
from components.data.contracts.examination import Examination, Fact
from components.data.contracts.expectations import between, not_null, row_count, unique
from components.data.contracts.vocabulary import vocabulary_schema
from components.data.document import read_keys
from components.data.parquet import TableFile
from components.data.scanning import num_out_of_order, parts_of
from components.data.vocabulary import count_codes

Parts = Mapping[str, TableFile]
_SIDES: Final = ((USER, USER_ID), (ITEM, ITEM_ID))
_PREPARATION: Final = (
    "classes", "sizes.train", "sizes.test", "class_counts.train", "class_counts.test",
    "unknown.user", "unknown.item", "order.late", "left_out", "tied", "learned_until", "last_timestamp",
    "thresholds",
)  # fmt: skip
_STREAM: Final = pa.schema(
    [(ROW, pa.int64()), (LABEL, pa.int32()), (USER, pa.int32()), (ITEM, pa.int32()), (TIMESTAMP, pa.int64())]
)


def schemas() -> dict[str, pa.Schema]:
    """Name of a table → its columns."""
    vocabularies = {
        f"{dense}s": vocabulary_schema(dense, raw)(pa.schema([(raw, pa.string())])) for dense, raw in _SIDES
    }
    return {"train": _STREAM, "test": _STREAM, **vocabularies}


def validate(output: Path, params: PrepareStreamParams, inputs: Mapping[str, Path], docs: Path) -> Validation:
    """Check both parts, the order of the stream, the ids, and what the preparation says of them; and that
    nothing in the tail is known before.

    Raises:
        GateFailedError: an expectation failed.
    """
    exam = Examination("dataset", output, docs)
    parts = {part: exam.file(f"{part}.parquet", _STREAM) for part in ("train", "test")}
    vocabularies = {dense: exam.file(f"{dense}s.parquet", schemas()[f"{dense}s"]) for dense, _ in _SIDES}
    preparation = exam.document("preparation.json", lambda path: read_keys(path, _PREPARATION))
    for dense, raw in _SIDES:
        columns = vocabularies[dense].schema.names
        exam.expect(
            f"{dense}s.parquet",
            vocabularies[dense].read().to_pandas(),
            [
                row_count(1),
                *map(not_null, columns),
                unique(raw),
                between(NUM_INTERACTIONS, 1, None),
                between(NUM_TRAIN, 0, None),
            ],
        )
    bounds = {dense: file.num_rows - 1 for dense, file in vocabularies.items()}
    bounds[LABEL] = len(params.classes) - 1
    bounds[ROW] = sum(preparation["sizes"].values()) + preparation["left_out"] - 1
    for part, file in parts.items():
        exam.expect(
            f"{part}.parquet",
            (rows.to_pandas() for rows in parts_of(file, _STREAM.names)),
            [
                row_count(1),
                *map(not_null, _STREAM.names),
                *(between(column, 0, top) for column, top in bounds.items()),
            ],
        )
    exam.require()  # what follows counts by id
    exam.facts("stream", _stream_facts(parts, preparation, params, inputs))
    for dense, _ in _SIDES:
        exam.facts(f"{dense}s.parquet", _vocabulary_facts(parts, vocabularies[dense], dense))
    exam.facts("classes", _class_facts(parts, preparation, params))
    exam.gate(_leaks(parts))
    exam.gate(_news(preparation))
    exam.gate([unknown_gate(params.vocabulary, preparation["unknown"])])
    named = {**parts, **{f"{dense}s": file for dense, file in vocabularies.items()}}
    for name, table in named.items():
        exam.own(name, table, params.expectations)
    return exam.finish(docs=True)


def _stream_facts(
    parts: Parts, preparation: Mapping[str, Any], params: PrepareStreamParams, inputs: Mapping[str, Path]
) -> dict[str, Fact]:
    """In the order of time, ties as they were read; every interaction stands somewhere, or was left out."""
    sizes = preparation["sizes"]
    count = sum(sizes.values())
    quota = count * params.test_tail
    facts: dict[str, Fact] = {
        "rows out of order": (_num_out_of_order(parts), 0, 0),
        "test rows by the share": (sizes["test"], quota - 1, quota + 1),
        "last timestamp": (preparation["last_timestamp"], *(int(parts["test"].values(TIMESTAMP)[-1]),) * 2),
    }  # fmt: skip
    for part, file in parts.items():
        facts[f"{part} rows"] = (file.num_rows, sizes[part], sizes[part])
    if "interactions" in inputs:
        read = TableFile(inputs["interactions"] / "interactions.parquet").num_rows
        facts["rows of the stream and left out"] = (count + preparation["left_out"], read, read)
    until = preparation["learned_until"]
    if until is not None:
        facts["first timestamp"] = (int(parts["train"].values(TIMESTAMP)[0]), until + 1, None)
    else:
        facts["rows left out"] = (preparation["left_out"], 0, 0)
    if params.order == "require":
        facts["late rows"] = (preparation["order"]["late"], 0, 0)
    return facts


def _num_out_of_order(parts: Parts) -> int:
    """Within the parts, and from one to the other."""
    within = sum(num_out_of_order(file, TIMESTAMP, ROW) for file in parts.values())
    last, first = (
        tuple(int(parts[part].values(column)[place]) for column in (TIMESTAMP, ROW))
        for part, place in (("train", -1), ("test", 0))
    )
    return within + int(first <= last)


def _vocabulary_facts(parts: Parts, vocabulary: TableFile, dense: str) -> dict[str, Fact]:
    """Ids are dense by first appearance, and as frequent as is said."""
    train_N, test_N = (file.values(dense) for file in parts.values())
    ids, first = np.unique(np.concatenate([train_N, test_N]), return_index=True)
    size = vocabulary.num_rows
    counts = {
        NUM_TRAIN: count_codes(train_N, size),
        NUM_INTERACTIONS: count_codes(train_N, size) + count_codes(test_N, size),
    }
    return {
        "holes in the dense ids": (int((vocabulary.values(dense) != np.arange(size)).sum()), 0, 0),
        "ids that never appear": (size - len(ids), 0, 0),
        "ids out of the order of appearance": (int((np.diff(first) <= 0).sum()), 0, 0),
        **{
            f"wrong {column}": (int((vocabulary.values(column) != count_N).sum()), 0, 0)
            for column, count_N in counts.items()
        },
    }


def _class_facts(
    parts: Parts, preparation: Mapping[str, Any], params: PrepareStreamParams
) -> dict[str, Fact]:
    facts: dict[str, Fact] = {"not the recipe's": (int(preparation["classes"] != list(params.classes)), 0, 0)}
    for part, file in parts.items():
        count_C = count_codes(file.values(LABEL), len(params.classes))
        told = preparation["class_counts"][part]
        wrong = sum(told.get(name) != count for name, count in zip(params.classes, count_C, strict=True))
        facts[f"{part}: wrong counts"] = (wrong, 0, 0)
        if part == "test":
            facts["test: interactions of the rarest"] = (int(count_C.min()), 1, None)
    return facts


def _leaks(parts: Parts) -> Iterator[Gate]:
    row_N = np.sort(np.concatenate([file.values(ROW) for file in parts.values()]))
    count = int(np.count_nonzero(row_N[1:] == row_N[:-1]))
    yield leak_gate("leaked_rows", count, f"{count:,} interactions stand in both of train and test")
    yield from future_gates(parts, "interactions")


def _news(preparation: Mapping[str, Any]) -> Iterator[Gate]:
    """How much of a delivery was left out because the champion's last timestamp is not before it. Where all
    of that lies at that very timestamp, the delivery holds what is new alone, and some of it is lost."""
    if preparation["learned_until"] is None:
        return
    count, tied = preparation["left_out"], preparation["tied"]
    told = f"{count:,} interactions are not after the last one that the champion has learned from"
    lost = 0 < count == tied
    if lost:
        told += ", all of them at its very timestamp: they may be new"
    yield Gate(
        name="left_out",
        subject="against the champion's dataset",
        value=float(count),
        severity="warn",
        passed=not lost,
        told=told,
    )
