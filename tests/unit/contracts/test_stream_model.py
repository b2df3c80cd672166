# ruff: noqa: E501  (a table reads best with one case a line)
"""The contract of a stream's model: it passes a good artifact, and stops a broken one by the name of what is
wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from components.core.recipe import (
    RetrainStreamParams,
    StreamTraining,
)
from components.core.recipe.stream import FixedSize
from components.core.stage import Validation
from components.data.contracts.model import stream as of_models
from components.data.document import write_document
from components.data.parquet import write_table

from . import artifacts as a
from .streams import (
    AUTOEMB,
    CASE,
    DARTS,
    ESAPN,
    FIXED,
    FLOATS,
    INF,
    INTS,
    NAN,
    NUMBERS,
    RAW,
    Sizing,
    course,
    dataset,
    described,
    ids_of,
    nothing,
    size_table,
    sizes_of,
    stopped,
    weights,
)


def model(root: Path, config: Sizing = ESAPN) -> None:
    """What was said of the tail in `STREAM`, and a network of the right shapes."""
    for side in RAW:
        table = size_table(config, side)
        lengths = [4 if config.kind in {"darts", "autoemb"} else size for size in table["size"].to_pylist()]
        vectors = pa.array([[0.5] * length for length in lengths], pa.large_list(FLOATS.value_field))
        write_table(pa.table({**table, "embedding": vectors}), root / f"{side}_embeddings.parquet")
    predictions = {
        "row": pa.array([4, 5], pa.int64()),
        "probability": pa.array([[0.25, 0.75], [1.0, 0.0]], pa.list_(pa.field("element", pa.float64()), 2)),
        "user_seen": pa.array([2, 0], pa.int32()),
        "user_size": pa.array([4, 0], pa.int32()),
        "item_seen": pa.array([0, 3], pa.int32()),
        "item_size": pa.array([0, 2], pa.int32()),
    }
    write_table(pa.table(predictions), root / "predictions.parquet")
    course(root, "history.parquet")
    tensors = {
        "user.unknown": (4,),
        "user.2.weight": (4, 2),
        "user.2.bias": (4,),
        "item.unknown": (4,),
        "hidden.weight": (5, 8),
        "hidden.bias": (5,),
        "output.weight": (1, 5),
        "output.bias": (1,),
    }
    network = {
        "tensor": list(tensors),
        "shape": pa.array([list(shape) for shape in tensors.values()], INTS),
        "values": pa.array([[0.25] * int(np.prod(shape)) for shape in tensors.values()], FLOATS),
    }
    write_table(pa.table(network), root / "network.parquet")
    training = StreamTraining(embedding=config) if isinstance(config, FixedSize) else StreamTraining()
    document = {
        "training": {**training.model_dump(mode="json"), "embedding": config.model_dump(mode="json")},
        "began": {"from": "search", "champion_sha256": None},
        "classes": ["no", "yes"],
        "thresholds": None,
        "state_version": 1,
        "interactions": 2,
        "last_timestamp": 40,
        "sides": {
            side: {
                "ids": len(RAW[side]),
                "counts": sizes_of(config, side)[1],
                "bytes": {size: 4 * int(size) * count for size, count in sizes_of(config, side)[1].items()},
            }
            for side in RAW
        },
    }
    write_document(document, root / "training.json")
    write_document({"classes": ["no", "yes"], "missing": [""]}, root / "classes.json")
    weights("weights.safetensors")(root)


def trained(root: Path, *changes: a.Break, made: Sizing = ESAPN) -> Validation:
    """What the contract finds in a good model of the good dataset after some changes."""
    number = next(NUMBERS)
    output, data = root / f"model-{number}", root / f"dataset-{number}"
    for place, make in ((output, lambda root: model(root, made)), (data, dataset)):
        place.mkdir()
        make(place)
    for change in changes:
        change(output)
    params = RetrainStreamParams(training=StreamTraining(), seed=1, model="m", tracking_uri="sqlite:///x")
    return of_models.validate(output, params, {"dataset": data}, root / "docs")


@pytest.mark.parametrize("config", [FIXED, ESAPN, DARTS, AUTOEMB], ids=lambda config: config.kind)
def test_a_good_model_passes_and_its_tables_are_described(config: Sizing, tmp_path: Path) -> None:
    found = trained(tmp_path, made=config)
    assert found.summary["success"] is True
    assert len(found.tables) == 5
    assert described(found, *tmp_path.glob("model-*"))


def told(*path: str, value: Any) -> a.Break:
    return a.document("training.json", *path, value=value)


def said(*probabilities: list[float]) -> a.Break:
    return a.column("predictions.parquet", "probability", list(probabilities))


def embedded(side: str, *vectors: list[float]) -> a.Break:
    return a.column(f"{side}_embeddings.parquet", "embedding", list(vectors))


SAID, NETWORK, EMBEDDED = "predictions.parquet", "network.parquet", "user_embeddings.parquet"
SHAPES = [[4], [4, 2], [4], [4], [5, 8], [5], [1, 5], [1]]
MODELS: list[CASE] = [
    {
        "predictions.parquet: row: expect_column_values_to_be_unique(): 2 of 2 values, such as 4": a.column(SAID, "row", [4, 4]),
        "predictions.parquet: user_seen: expect_column_values_to_be_between(min_value=0.0): 1 of 2 values, such as -1": a.column(SAID, "user_seen", [-1, 0]),
        "predictions.parquet: user_size: expect_column_values_to_not_be_null(): 1 of 2 values": a.column(SAID, "user_size", [4, None]),
        "predictions.parquet: item_seen: expect_column_values_to_not_be_null(): 1 of 2 values": a.column(SAID, "item_seen", [0, None]),
        "predictions.parquet: item_size: expect_column_values_to_be_between(min_value=0.0): 1 of 2 values, such as -2": a.column(SAID, "item_size", [0, -2]),
    },
    {"predictions.parquet: row: expect_column_values_to_not_be_null(): 1 of 2 values": a.column(SAID, "row", [4, None])},
    {"predictions.parquet: rows: expect_table_row_count_to_be_between(min_value=1): found 0": a.rows(SAID, [])},
    {"predictions.parquet facts: are of the tail": a.rows(SAID, [0])},
    {"predictions.parquet facts: are of the tail": a.column(SAID, "row", [4, 6])},
    {"predictions.parquet facts: are of the tail": a.column(SAID, "row", [3, 4])},
    {"predictions.parquet facts: rows out of order": a.rows(SAID, [1, 0]), "predictions.parquet facts: are of the tail": nothing},
    {"predictions.parquet facts: rows without probabilities: expect_column_values_to_be_between(min_value=0.0, max_value=0.0): 1 of 1 values, such as 2": said([0.5, 0.6], [1.5, -0.5])},
    {"predictions.parquet facts: rows without probabilities": said([NAN, 0.5], [0.5, 0.5])},
    {"predictions.parquet schema: probability": told("classes", value=["no", "yes", "maybe"])},
    {"predictions.parquet schema: row, probability, user_seen, user_size, item_seen, item_size: expect_table_columns_to_match_ordered_list": a.without(SAID, "item_seen")},
    {
        "user_embeddings.parquet facts: embeddings of another length: expect_column_values_to_be_between(min_value=0.0, max_value=0.0): 1 of 1 values, such as 2": embedded("user", [1, 1], [1, 1], [1, 1, 1]),
    },
    {
        "item_embeddings.parquet facts: numbers that are not finite: expect_column_values_to_be_between(min_value=0.0, max_value=0.0): 1 of 1 values, such as 2": embedded("item", [NAN, 1], [1, 1, 1, INF]),
    },
    {
        "user_embeddings.parquet: size: expect_column_values_to_be_in_set(value_set=[2, 4]): 1 of 3 values, such as 3": a.column(EMBEDDED, "size", [2, 4, 3]),
        "user_embeddings.parquet facts: embeddings of another length": nothing,
        "user_embeddings.parquet sizes facts: users: ids of each size are as many as is told": nothing,
    },
    {
        "item_embeddings.parquet sizes facts: items: holes in the dense ids": a.column("item_embeddings.parquet", "item", [1, 0]),
    },
    {
        "user_embeddings.parquet sizes facts: users: ids of each size are as many as is told": told("sides", "user", "counts", value={"2": 1, "4": 2}),
    },
    {
        "item_embeddings.parquet sizes facts: items: ids are as many as is told": told("sides", "item", "ids", value=3),
    },
    {
        "user_embeddings.parquet: user_id: expect_column_values_to_be_unique(): 2 of 3 values, such as 'b'": a.column(EMBEDDED, "user_id", ["a", "b", "b"]),
        "user_embeddings.parquet: seen: expect_column_values_to_be_between(min_value=1.0): 1 of 3 values, such as 0": a.column(EMBEDDED, "seen", [1, 2, 0]),
    },
    {"user_embeddings.parquet: rows: expect_table_row_count_to_be_between(min_value=1): found 0": a.rows(EMBEDDED, [])},
    {"user_embeddings.parquet schema: embedding: expect_column_values_to_be_in_set(value_set=['large_list<element: float>']): 1 of 1 values, such as 'list<element: double>'": a.column(EMBEDDED, "embedding", [[1.0]] * 3, pa.list_(pa.field("element", pa.float64())))},
    {"user_embeddings.parquet: cannot be read": a.content(EMBEDDED, None)},
    {"network.parquet facts: tensors of another shape: expect_column_values_to_be_between(min_value=0.0, max_value=0.0): 1 of 1 values, such as 2": a.column(NETWORK, "shape", [[5], [2, 4], *SHAPES[2:7], [2]])},
    {"network.parquet facts: tensors of another shape": a.column(NETWORK, "values", [[1.0]] * 8)},
    {"network.parquet facts: numbers that are not finite: expect_column_values_to_be_between(min_value=0.0, max_value=0.0): 1 of 1 values, such as 1": a.column(NETWORK, "values", [[1, 2, 3, NAN], *([1.0] * int(np.prod(shape)) for shape in SHAPES[1:])])},
    {"network.parquet facts: tensors that are missing: expect_column_values_to_be_between(min_value=0.0, max_value=0.0): 1 of 1 values, such as 1": a.rows(NETWORK, [0, 1, 2, 4, 5, 6, 7])},
    {"network.parquet facts: tensors that are missing: expect_column_values_to_be_between(min_value=0.0, max_value=0.0): 1 of 1 values, such as 6": a.rows(NETWORK, [])},
    {"network.parquet: tensor: expect_column_values_to_be_unique(): 2 of 9 values, such as 'output.bias'": a.rows(NETWORK, [*range(8), 7])},
    {"network.parquet schema: tensor, shape, values: expect_table_columns_to_match_ordered_list": a.without(NETWORK, "shape")},
    {
        "training.json facts: began is known": told("began", "from", value="a friend"),
        "training.json facts: interactions: expect_column_values_to_be_between(min_value=2.0): 1 of 1 values, such as 1": told("interactions", value=1),
        "training.json facts: classes are those of the training": a.document("classes.json", "classes", value=["yes", "no"]),
        "weights.safetensors facts: is there": a.content("weights.safetensors", None),
    },
    {"weights.safetensors facts: weights not finite": weights("weights.safetensors", NAN)},
    {"training.json: cannot be read: KeyError: 'sides.item.bytes'": told("sides", "item", value={"ids": 2, "counts": {}})},
    {"training.json: cannot be read: KeyError: 'began.champion_sha256'": told("began", value={"from": "none"})},
    {"training.json: cannot be read: ValidationError": told("training", "batch_size", value=0)},
    {"classes.json: cannot be read: KeyError: 'missing'": a.content("classes.json", b'{"classes": []}')},
    {
        "history.parquet facts: interactions out of order": a.column("history.parquet", "interactions", [500, 400]),
        "history.parquet: accuracy: expect_column_values_to_be_between(min_value=0.0, max_value=1.0): 1 of 2 values, such as 2": a.column("history.parquet", "accuracy", [2, 0]),
    },
]  # fmt: skip


@pytest.mark.parametrize("changes", MODELS, ids=ids_of(MODELS))
def test_a_broken_model_is_stopped_by_what_is_wrong(changes: CASE, tmp_path: Path) -> None:
    stopped(lambda: trained(tmp_path, *changes.values()), changes, tmp_path / "docs")


@pytest.mark.parametrize(
    ("config", "changes"),
    [
        (FIXED, {"embeddings of another length": embedded("user", [1, 1, 1], [1, 1], [1, 1, 1])}),
        (FIXED, {"size: expect_column_values_to_be_in_set(value_set=[3]): 1 of 3 values, such as 4": a.column(EMBEDDED, "size", [3, 3, 4])}),
        (DARTS, {"embeddings of another length": embedded("user", [1] * 4, [1] * 6, [1] * 4)}),
        (AUTOEMB, {"size: expect_column_values_to_be_in_set(value_set=[6]): 3 of 3 values, such as 4": a.column(EMBEDDED, "size", [4, 4, 4])}),
    ],
    ids=["fixed: length", "fixed: size", "darts: length", "autoemb: size"],
)  # fmt: skip
def test_how_long_an_embedding_is_follows_from_how_sizes_are_found(
    config: Sizing, changes: CASE, tmp_path: Path
) -> None:
    stopped(lambda: trained(tmp_path, *changes.values(), made=config), changes, tmp_path / "docs")
