"""The contract of the artifact of a model that follows a stream."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from components.core.columns import (
    EMBEDDING,
    EMBEDDING_SIZE,
    PROBABILITIES,
    ROW,
    SEEN,
    SHAPE,
    TENSOR,
    VALUES,
)
from components.core.policy import WEIGHTS_FILE
from components.core.recipe import RetrainStreamParams, StreamTraining
from components.core.recipe.stream import AutoEmb, Darts
from components.core.stage import Validation
from components.data.contracts.curves import curves_schema, expect_curves
from components.data.contracts.examination import Examination, Fact
from components.data.contracts.expectations import between, not_null, row_count, unique
from components.data.contracts.sized import SIDES, expect_sizes, size_facts, size_schema
from components.data.contracts.weights import weight_facts
from components.data.document import read_document, read_keys
from components.data.parquet import TableFile

_KEYS: Final = (
    "training", "state_version", "classes", "thresholds", "interactions", "last_timestamp",
    *(f"began.{key}" for key in ("from", "champion_sha256")),
    *(f"sides.{side}.{key}" for side, _ in SIDES for key in ("ids", "counts", "bytes")),
)  # fmt: skip
_BEGINNINGS: Final = {"champion", "search", "policy", "none"}
_EMBEDDINGS: Final = pa.large_list(pa.field("element", pa.float32()))  # more numbers than 32 bits count
_NETWORK: Final = pa.schema(
    [
        (TENSOR, pa.string()),
        (SHAPE, pa.list_(pa.field("element", pa.int32()))),
        (VALUES, pa.list_(pa.field("element", pa.float32()))),
    ]
)
_TENSORS: Final = {
    *(f"{side}.unknown" for side, _ in SIDES),
    *(f"{layer}.{part}" for layer in ("hidden", "output") for part in ("weight", "bias")),
}
_ONE: Final = 1e-6  # by which probabilities may fail to add up to 1


def predictions_schema(num_classes: int) -> pa.Schema:
    """One row an interaction of the tail: its place in the delivery, what was said of it before it was
    learned from, how often its ids had been seen, and how large their embeddings were."""
    vector = pa.list_(pa.field("element", pa.float64()), num_classes)  # as Parquet names it
    sides = [(f"{side}_{what}", pa.int32()) for side, _ in SIDES for what in (SEEN, EMBEDDING_SIZE)]
    return pa.schema([(ROW, pa.int64()), (PROBABILITIES, vector), *sides])


def validate(output: Path, params: RetrainStreamParams, inputs: Mapping[str, Path], docs: Path) -> Validation:
    """Check what was said of the tail, what is served, the state to go on from, the course and what is told
    of them.

    Raises:
        GateFailedError: an expectation failed.
    """
    exam = Examination("model", output, docs)
    training = exam.document("training.json", _read_training)
    served = exam.document("classes.json", lambda path: read_keys(path, ["classes", "missing"]))
    history = exam.table("history.parquet", curves_schema)
    predictions = exam.table("predictions.parquet", predictions_schema(len(training["classes"])))
    network = exam.table("network.parquet", _NETWORK)
    expect_curves(exam, "history.parquet", history)
    seen = [f"{side}_{what}" for side, _ in SIDES for what in (SEEN, EMBEDDING_SIZE)]
    exam.expect(
        "predictions.parquet",
        predictions.select([ROW, *seen]).to_pandas(),
        [
            row_count(1),
            unique(ROW),
            *map(not_null, (ROW, *seen)),
            *(between(name, 0, None) for name in seen),
        ],
    )
    exam.expect("network.parquet", network.select([TENSOR]).to_pandas(), [not_null(TENSOR), unique(TENSOR)])
    exam.require()  # what follows looks at single rows
    exam.facts("predictions.parquet", _prediction_facts(predictions, inputs))
    section = StreamTraining.model_validate(training["training"])
    for dense, raw in SIDES:
        name = f"{dense}_embeddings.parquet"
        table = exam.table(name, pa.schema([*size_schema(dense, raw), (EMBEDDING, _EMBEDDINGS)]))
        expect_sizes(exam, name, table, raw, section.embedding)
        told = training["sides"][dense]
        exam.facts(name, _embedding_facts(table, section))
        sizes = size_facts(table, dense, told["counts"], section.embedding)
        sizes[f"{dense}s: ids are as many as is told"] = (told["ids"], table.num_rows, table.num_rows)
        exam.facts(f"{name} sizes", sizes)
    exam.facts("network.parquet", _network_facts(network))
    facts: dict[str, Fact] = {
        "classes are those of the training": (served["classes"] == training["classes"], 1, 1),
        "began is known": (training["began"]["from"] in _BEGINNINGS, 1, 1),
        "interactions": (training["interactions"], predictions.num_rows, None),
        **_dataset_facts(training, inputs["dataset"]),
    }
    exam.facts("training.json", facts)
    exam.facts(WEIGHTS_FILE, weight_facts(output / WEIGHTS_FILE, expected=True))
    return exam.finish()


def _dataset_facts(training: Mapping[str, Any], dataset: Path) -> dict[str, Fact]:
    """It was trained on the dataset, to its end: that is where the next delivery goes on."""
    preparation = read_document(dataset / "preparation.json")
    last = preparation["last_timestamp"]
    return {
        **{
            f"{name} are the dataset's": (training[name] == preparation[name], 1, 1)
            for name in ("classes", "thresholds")
        },
        "last timestamp": (training["last_timestamp"], last, last),
    }


def _read_training(path: Path) -> dict[str, Any]:
    document = read_keys(path, _KEYS)
    StreamTraining.model_validate(document["training"])  # a ValidationError is a ValueError
    return document


def _prediction_facts(predictions: pa.Table, inputs: Mapping[str, Path]) -> dict[str, Fact]:
    """Something sound was said of every interaction of the tail, and of no other."""
    vectors = predictions[PROBABILITIES].combine_chunks()
    probability_NC = vectors.flatten().to_numpy().reshape(len(vectors), -1)
    sound_N = (np.abs(probability_NC.sum(axis=1) - 1) <= _ONE) & (probability_NC >= 0).all(axis=1)
    row_N = predictions[ROW].to_numpy()
    tail_N = np.sort(TableFile(inputs["dataset"] / "test.parquet").values(ROW))
    return {
        "rows without probabilities": (int((~sound_N).sum()), 0, 0),
        "rows out of order": (int((np.diff(row_N) <= 0).sum()), 0, 0),
        "are of the tail": (np.array_equal(row_N, tail_N), 1, 1),
    }


def _embedding_facts(table: pa.Table, section: StreamTraining) -> dict[str, Fact]:
    """Finite numbers, as many as the size says; of a weighted sum as many as its largest size."""
    lists = table[EMBEDDING].combine_chunks()
    length_N, size_N = np.diff(lists.offsets.to_numpy()), table[EMBEDDING_SIZE].to_numpy()
    config = section.embedding
    wanted_N = size_N
    if isinstance(config, Darts | AutoEmb):
        wanted_N = np.full(len(size_N), max(config.sizes))
    return {
        "embeddings of another length": (int((length_N != wanted_N).sum()), 0, 0),
        "numbers that are not finite": (int((~np.isfinite(lists.flatten().to_numpy())).sum()), 0, 0),
    }


def _network_facts(network: pa.Table) -> dict[str, Fact]:
    """What every network has is there; every tensor has as many numbers as its shape says, and all are
    finite."""
    rows = network.to_pylist()
    wrong = sum(len(row[VALUES]) != int(np.prod(row[SHAPE])) for row in rows)
    values = network[VALUES].combine_chunks().flatten().to_numpy()
    return {
        "tensors that are missing": (len(_TENSORS - {row[TENSOR] for row in rows}), 0, 0),
        "tensors of another shape": (wrong, 0, 0),
        "numbers that are not finite": (int((~np.isfinite(values)).sum()), 0, 0),
    }
