"""What must be true of tables of embedding sizes."""

from typing import Final

import numpy as np
import pyarrow as pa

from components.core.columns import EMBEDDING_SIZE, ITEM, ITEM_ID, SEEN, USER, USER_ID
from components.core.recipe.stream import FixedSize, Searched
from components.core.strategy import Strategy
from components.data.contracts.examination import Examination, Fact
from components.data.contracts.expectations import between, in_set, not_null, row_count, unique

SIDES: Final = ((USER, USER_ID), (ITEM, ITEM_ID))


def size_schema(dense: str, raw: str) -> pa.Schema:
    """A row for each id: how often it was seen, and how many numbers its embedding has."""
    return pa.schema(
        [(dense, pa.int32()), (raw, pa.string()), (SEEN, pa.int32()), (EMBEDDING_SIZE, pa.int32())]
    )


def expect_sizes(exam: Examination, name: str, table: pa.Table, raw: str, config: Strategy) -> None:
    """Ids are distinct, have been seen, and have a size that there is."""
    exam.expect(
        name,
        table.select([raw, SEEN, EMBEDDING_SIZE]).to_pandas(),
        [
            row_count(1),
            *map(not_null, (raw, SEEN, EMBEDDING_SIZE)),
            unique(raw),
            between(SEEN, 1, None),
            in_set(EMBEDDING_SIZE, allowed_sizes(config)),
        ],
    )


def allowed_sizes(config: Strategy) -> list[int]:
    """The sizes that embeddings can have; of a weighted sum of all sizes, all of them together."""
    if isinstance(config, FixedSize):
        return [config.size]
    assert isinstance(config, Searched)
    return list(config.sizes) if config.kind == "esapn" else [sum(config.sizes)]


def size_facts(table: pa.Table, dense: str, counts: dict[str, int], config: Strategy) -> dict[str, Fact]:
    """As many ids of each size as is told; ids are dense."""
    size_N, id_N = (table[name].to_numpy() for name in (EMBEDDING_SIZE, dense))
    if isinstance(config, Searched) and config.kind != "esapn":
        found = {str(size): len(size_N) for size in config.sizes}
    else:
        found = {str(size): int((size_N == size).sum()) for size in allowed_sizes(config)}
    return {
        f"{dense}s: holes in the dense ids": (int((id_N != np.arange(len(id_N))).sum()), 0, 0),
        f"{dense}s: ids of each size are as many as is told": (found == counts, 1, 1),
    }
