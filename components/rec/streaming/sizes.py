"""The size of every user and item, as tables."""

import pyarrow as pa
import torch

from components.core import columns
from components.rec.streaming.data import RAW, RawIds
from components.rec.streaming.model import SIDES, Side, StreamModel


def size_tables(model: StreamModel, ids: RawIds) -> dict[Side, pa.Table]:
    """Of each side a row for each id that a model knows: its raw id, how often it was seen, and the size of
    its embedding."""
    tables: dict[Side, pa.Table] = {}
    for side in SIDES:
        embeddings = model.side(side)
        id_N = torch.arange(len(embeddings))
        tables[side] = pa.table(
            {
                side: pa.array(id_N.to(torch.int32).numpy()),
                RAW[side]: ids[side].slice(0, len(embeddings)),
                columns.SEEN: pa.array(embeddings.seen.frequency(id_N).to(torch.int32).numpy()),
                columns.EMBEDDING_SIZE: pa.array(embeddings.size_of(id_N).to(torch.int32).numpy()),
            }
        )
    return tables
