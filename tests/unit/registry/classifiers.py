"""What a classifier is served from, with encoders fitted to given columns and a linear network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import pyarrow as pa
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from components.core.recipe.example_preparation import Encodings
from components.core.recipe.examples import FieldKind
from components.data.document import write_document
from components.data.encoders.field import FieldEncoder, fit_field
from components.data.encoders.tables import write_encoders
from components.data.parquet import write_table

TYPES: Final[Mapping[FieldKind, pa.DataType]] = {
    "categorical": pa.string(),
    "numeric": pa.float64(),
    "multi_valued": pa.list_(pa.string()),
    "history": pa.list_(pa.string()),
}
KINDS: Final[dict[str, FieldKind]] = {"item": "categorical", "price": "numeric", "genres": "multi_valued"}
TRAIN: Final[dict[str, list[Any]]] = {
    "item": ["a", "b", "b", None],
    "price": [1.0, 3.0, None, 40.0],
    "genres": [["x", "y"], ["y"], None, ["x"]],
}


def fitted(
    kinds: Mapping[str, FieldKind], encodings: Encodings, train: Mapping[str, Any]
) -> list[FieldEncoder]:
    return [
        fit_field(name, kind, encodings, [pa.array(train[name], TYPES[kind])]) for name, kind in kinds.items()
    ]


def table_of(encoders: Sequence[FieldEncoder], width: int, seed: int = 0) -> NDArray[np.float32]:
    """Random embeddings (R, W)."""
    rows = sum(encoder.size for encoder in encoders)
    return np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)


def weights_of(num_fields: int, width: int, num_logits: int, seed: int = 1) -> NDArray[np.float32]:
    """Of the linear network (F × W, L)."""
    generator = np.random.default_rng(seed)
    return generator.normal(size=(num_fields * width, num_logits)).astype(np.float32)


def write_served(
    place: Path,
    encoders: Sequence[FieldEncoder],
    table_RW: NDArray[np.float32],
    weight: NDArray[np.float32],
    classes: Sequence[str],
    missing: Sequence[str] = (),
) -> None:
    """The files that `classifier_serving.py` reads, below `place`."""
    write_encoders(encoders, place)
    fields = [encoder.name for encoder in encoders for _ in range(encoder.size)]
    codes = [code for encoder in encoders for code in range(encoder.size)]
    vectors = pa.FixedSizeListArray.from_arrays(table_RW.reshape(-1), table_RW.shape[1])
    embeddings = {"field": fields, "code": pa.array(codes, pa.int32()), "embedding": vectors}
    write_table(pa.table(embeddings), place / "value_embeddings.parquet")
    write_document({"classes": list(classes), "missing": list(missing)}, place / "classes.json")
    onnx.save(_linear(len(encoders), table_RW.shape[1], weight), place / "network.onnx")


def write_toy(place: Path, classes: Sequence[str] = ("no", "yes")) -> None:
    """Those of a small classifier over `KINDS`."""
    encoders = fitted(KINDS, Encodings(), TRAIN)
    num_logits = 1 if len(classes) == 2 else len(classes)
    weight = weights_of(len(encoders), 4, num_logits)
    write_served(place, encoders, table_of(encoders, 4), weight, classes)


def _linear(num_fields: int, width: int, weight: NDArray[np.float32]) -> Any:
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["rows"], ["flat"], axis=1),
            helper.make_node("MatMul", ["flat", "weight"], ["logit"]),
        ],
        "linear",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["B", num_fields, width])],
        [helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["B", weight.shape[1]])],
        [numpy_helper.from_array(weight, "weight")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
