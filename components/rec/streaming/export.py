"""A stream's model as it is served: embeddings as they are stored, and what is made of them."""

from typing import Final

import pyarrow as pa
import torch
from torch import Tensor

from components.core.columns import EMBEDDING, SHAPE, TENSOR, VALUES
from components.rec.streaming.data import RawIds
from components.rec.streaming.model import SIDES, Side, StreamModel
from components.rec.streaming.sizes import size_tables

NETWORK_FILE: Final = "network.parquet"


@torch.no_grad()
def embedding_tables(model: StreamModel, ids: RawIds) -> dict[Side, pa.Table]:
    """The tables of sizes, with the embeddings themselves."""
    tables = size_tables(model, ids)
    for side, table in tables.items():
        length_N, flat = model.side(side).served()
        offset_N = torch.cat([length_N.new_zeros(1), length_N.cumsum(0)])
        lists = pa.LargeListArray.from_arrays(offset_N.numpy(), flat.numpy())
        tables[side] = table.append_column(
            pa.field(EMBEDDING, pa.large_list(pa.field("element", pa.float32()))), lists
        )
    return tables


@torch.no_grad()
def network_table(model: StreamModel) -> pa.Table:
    """The tensors that make probabilities of embeddings, one a row.

    An embedding e of d numbers becomes ê = tanh(A e + c), with `<side>.<d>.weight`, A (W, d), and
    `<side>.<d>.bias`, c (W,); or is ê itself where there are none. `<side>.unknown` (W,) is ê of an id that
    nobody has seen. Two layers make logits of both, `hidden` with tanh, and `output`.
    """
    tensors: dict[str, Tensor] = {}
    for side in SIDES:
        embeddings = model.side(side)
        tensors[f"{side}.unknown"] = embeddings.unknown()
        for size, (weight_WD, bias_W) in embeddings.affine().items():
            tensors[f"{side}.{size}.weight"], tensors[f"{side}.{size}.bias"] = weight_WD, bias_W
    for name in ("hidden", "output"):
        layer = getattr(model, name)
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = layer.weight, layer.bias
    return pa.table(
        {
            TENSOR: pa.array(list(tensors), pa.string()),
            SHAPE: pa.array([list(tensor.shape) for tensor in tensors.values()], _list_of(pa.int32())),
            VALUES: pa.array(
                [tensor.reshape(-1).numpy() for tensor in tensors.values()], _list_of(pa.float32())
            ),
        }
    )


def _list_of(kind: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", kind))  # as Parquet names it
