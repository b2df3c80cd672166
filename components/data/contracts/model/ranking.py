"""The contract of the model artifact."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from components.core.columns import EMBEDDING, ITEM, ITEM_ID, USER, USER_ID
from components.core.recipe import RankingTraining, RetrainParams
from components.core.stage import Validation
from components.data.contracts.examination import Examination, Fact
from components.data.contracts.expectations import not_null, row_count, unique
from components.data.contracts.model.training import examine_training, read_history, read_training
from components.data.contracts.vocabulary import raw_id_type


def validate(output: Path, params: RetrainParams, inputs: Mapping[str, Path], docs: Path) -> Validation:
    """Check the embeddings, the history and what was trained.

    Raises:
        GateFailedError: an expectation failed, or a warm start is worse than it may be.
    """
    exam = Examination("model", output, docs)
    training = read_training(exam, RankingTraining, ("num_users", "num_items"))
    users = exam.table("user_embeddings.parquet", _embedding_schema(USER, USER_ID))
    items = exam.table("item_embeddings.parquet", _embedding_schema(ITEM, ITEM_ID))
    history = read_history(exam)
    for table, dense, raw, expected in (
        (users, USER, USER_ID, training["num_users"]),
        (items, ITEM, ITEM_ID, training["num_items"]),
    ):
        name = f"{dense}_embeddings.parquet"
        ids = table.select([dense, raw]).to_pandas()
        exam.expect(name, ids, [row_count(expected, expected), not_null(dense), not_null(raw), unique(raw)])
        exam.facts(name, _embedding_facts(table, dense))
    dim = _dim(users)
    exam.facts("embeddings", {"dim of the items' embeddings": (_dim(items), dim, dim)})
    examine_training(exam, output, training, RankingTraining.model_validate(training["training"]), history)
    return exam.finish()


def _embedding_schema(dense: str, raw: str) -> Callable[[pa.Schema], pa.Schema]:
    def schema(found: pa.Schema) -> pa.Schema:
        kind = found.field(EMBEDDING).type if EMBEDDING in found.names else None
        dim = kind.list_size if kind is not None and pa.types.is_fixed_size_list(kind) else 1
        vector = pa.list_(pa.field("element", pa.float32()), dim)  # as Parquet names it
        return pa.schema([(dense, pa.int32()), (raw, raw_id_type(found, raw)), (EMBEDDING, vector)])

    return schema


def _dim(table: pa.Table) -> int:
    return int(table.schema.field(EMBEDDING).type.list_size)


def _embedding_facts(table: pa.Table, dense: str) -> dict[str, Fact]:
    values = table[EMBEDDING].combine_chunks().flatten().to_numpy()
    holes = int((table[dense].to_numpy() != np.arange(table.num_rows)).sum())
    return {
        "numbers that are not finite": (int((~np.isfinite(values)).sum()), 0, 0),
        "holes in the dense ids": (holes, 0, 0),
    }
