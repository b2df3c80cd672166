"""The contract of the artifact of a classifier."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from components.core.columns import CODE, EMBEDDING, FIELD, SIZE
from components.core.hashing import sha256_file
from components.core.recipe import ClassificationTraining, RetrainClassifierParams
from components.core.stage import Validation
from components.data.contracts.examination import Examination, Fact
from components.data.contracts.expectations import not_null, row_count
from components.data.contracts.model.training import examine_training, read_history, read_training
from components.data.document import read_keys
from components.data.fields import EDGES, FIELDS, VALUES

_VOCABULARIES = {"fields.parquet": FIELDS, "values.parquet": VALUES, "edges.parquet": EDGES}
_NETWORK = "network.onnx"


def validate(
    output: Path, params: RetrainClassifierParams, inputs: Mapping[str, Path], docs: Path
) -> Validation:
    """Check what is served (vocabularies, their rows, the network, the classes), the history and what was
    trained.

    Raises:
        GateFailedError: an expectation failed, or a warm start is worse than it may be.
    """
    exam = Examination("model", output, docs)
    training = read_training(exam, ClassificationTraining, ("num_fields", "num_values", "classes"))
    classes = exam.document("classes.json", lambda path: read_keys(path, ["classes", "missing"]))["classes"]
    fields, *_ = [exam.table(name, schema) for name, schema in _VOCABULARIES.items()]
    table = exam.table("value_embeddings.parquet", _embedding_schema)
    history = read_history(exam)
    rows = training["num_values"]
    exam.expect(
        "value_embeddings.parquet",
        table.select([FIELD, CODE]).to_pandas(),
        [row_count(rows, rows), not_null(FIELD), not_null(CODE)],
    )
    exam.require()  # what follows compares them row by row
    exam.facts("value_embeddings.parquet", _embedding_facts(table, fields))
    section = ClassificationTraining.model_validate(training["training"])
    linear = table.schema.field(EMBEDDING).type.list_size - section.model.dim
    logits = 1 if len(classes) == 2 else len(classes)
    facts: dict[str, Fact] = {
        "classes are those of the training": (classes == training["classes"], 1, 1),
        "fields": (fields.num_rows, training["num_fields"], training["num_fields"]),
        "linear weights of a row are none, or one for each logit": (linear in {0, logits}, 1, 1),
    }
    exam.facts("what is served", facts)
    exam.facts("vocabularies", _of_the_dataset(output, inputs["dataset"]))
    exam.facts(_NETWORK, {"bytes": (_size(output / _NETWORK), 1, None)})
    examine_training(exam, output, training, section, history)
    return exam.finish()


def _embedding_schema(found: pa.Schema) -> pa.Schema:
    kind = found.field(EMBEDDING).type if EMBEDDING in found.names else None
    width = kind.list_size if kind is not None and pa.types.is_fixed_size_list(kind) else 1
    vector = pa.list_(pa.field("element", pa.float32()), width)  # as Parquet names it
    return pa.schema([(FIELD, pa.string()), (CODE, pa.int32()), (EMBEDDING, vector)])


def _embedding_facts(table: pa.Table, fields: pa.Table) -> dict[str, Fact]:
    """A row for each code of each field, in their order."""
    sizes = fields[SIZE].to_numpy()
    expected = np.concatenate([np.arange(size) for size in sizes]) if len(sizes) else np.empty(0)
    names = np.repeat(np.array(fields[FIELD].to_pylist(), dtype=object), sizes)
    there = len(expected) == table.num_rows
    wrong = (
        int((table[CODE].to_numpy() != expected).sum())
        + int((np.array(table[FIELD].to_pylist(), dtype=object) != names).sum())
        if there
        else None
    )
    values = table[EMBEDDING].combine_chunks().flatten().to_numpy()
    return {
        "rows that are not of the field and code in turn": (wrong, 0, 0),
        "numbers that are not finite": (int((~np.isfinite(values)).sum()), 0, 0),
    }


def _of_the_dataset(output: Path, dataset: Path) -> dict[str, Fact]:
    """They are what the model was trained with, to the byte."""
    return {
        f"{name} is the dataset's": (sha256_file(output / name) == sha256_file(dataset / name), 1, 1)
        for name in _VOCABULARIES
    }


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
