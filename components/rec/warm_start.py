"""Weights of an older model as the start of a new one, by tensor name and raw id."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, final

import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from components.core import columns
from components.core.policy import WEIGHTS_FILE
from components.data.matching import positions
from components.data.parquet import read_table
from components.rec.rows import RowModel, Side
from components.rec.weights import load_tensors

NewRows = Literal["random", "mean"]
RawIds = Mapping[Side, pa.Array]
_SIDES: Final[tuple[Side, ...]] = ("user", "item")
_UNKNOWN, _MISSING, _NO_VALUES = " out of vocabulary", " missing", 2  # each field's first rows


@final
@dataclass(frozen=True, kw_only=True)
class Carried:
    """What became of one tensor.

    Attributes:
        rows: what it has a row for; None counts the tensor as one row.
        carried, fresh: rows of the new tensor: taken over, and made anew.
        lost: rows of the old tensor that were not taken over.
        reason: why nothing was taken over; empty where something was.
    """

    rows: Side | None
    carried: int = 0
    fresh: int = 0
    lost: int = 0
    reason: str = ""


@final
@dataclass(frozen=True, kw_only=True)
class OldModel:
    """A finished model's weights, and the raw ids of their rows."""

    weights: Mapping[str, Tensor]
    ids: RawIds

    @classmethod
    def read(cls, model: Path, ids: RawIds, device: torch.device) -> "OldModel":
        """From a model artifact."""
        return cls(weights=load_tensors(model / WEIGHTS_FILE, device), ids=ids)


def embedded_ids(model: Path) -> RawIds:
    """The raw ids of a ranking model's rows, whose embeddings are in the order of its weights' rows."""
    return _ids(model, "{}_embeddings.parquet")


def dataset_ids(dataset: Path) -> RawIds:
    """The raw ids of a ranking dataset in their dense order."""
    return _ids(dataset, "{}s.parquet")


def value_ids(directory: Path) -> RawIds:
    """What each row of a classifier's table stands for, from a dataset or model artifact: its field and its
    value. A bucket of a hash is the same where there are as many."""
    fields = read_table(directory / "fields.parquet").to_pylist()
    values = read_table(directory / "values.parquet")
    of_field = {
        name: values.filter(pc.equal(values[columns.FIELD], name))[columns.VALUE].to_pylist()
        for name in (field[columns.FIELD] for field in fields)
    }
    ids = []
    for field in fields:
        name, size = field[columns.FIELD], field[columns.SIZE]
        known = of_field[name] or [f"{bucket} of {size}" for bucket in range(size - _NO_VALUES)]
        ids += [f"{name}{_UNKNOWN}", f"{name}{_MISSING}", *(f"{name}={value}" for value in known)]
    return {"value": pa.array(ids, pa.string())}


@torch.no_grad()
def carry_over(
    model: RowModel, ids: RawIds, old: OldModel, new_rows: NewRows, scale: float = 1.0
) -> dict[str, Carried]:
    """Take over, in place, what `old` has of `model`'s tensors.

    A row is taken over by raw id, where a number is the same id as its digits. A tensor without rows for
    users, items or values is taken over whole. What does not fit stays as it is.

    Args:
        model: freshly initialised.
        ids: the raw ids of its rows.
        new_rows: what a row becomes whose id is new: it stays as initialised, or is the mean of the rows
            that were taken over (if any).
        scale: what is taken over is multiplied by this, but for running statistics. A model that has
            converged keeps to what it knows: its large weights leave small gradients (Ash & Adams 2020).

    Returns:
        Tensor name → what became of it, for the tensors of both.
    """
    rows = {side: torch.from_numpy(positions(ids[side], old.ids[side])) for side in ids}
    trained = dict(model.named_parameters())
    became = {}
    for name, tensor in model.state_dict().items():
        side, source = model.rows.get(name), old.weights.get(name)
        reason = _misfit(tensor, source, None if side is None else len(old.ids[side]))
        if source is None or reason:
            lost = 0 if source is None else _num_rows(source, side)
            became[name] = Carried(rows=side, fresh=_num_rows(tensor, side), lost=lost, reason=reason)
        elif side is None:
            tensor.copy_(source * scale if name in trained else source)
            became[name] = Carried(rows=None, carried=1)
        else:
            row = rows[side].to(tensor.device)
            became[name] = _carry_rows(tensor, source * scale, row, side, new_rows)
    for name in sorted(old.weights.keys() - became.keys()):
        became[name] = Carried(rows=None, lost=1, reason="the new model has no such tensor")
    return became


def _carry_rows(tensor: Tensor, source: Tensor, row: Tensor, side: Side, new_rows: NewRows) -> Carried:
    """`row` is the row in `source` of each row of `tensor`, or -1."""
    known = row >= 0
    carried = int(known.sum())
    tensor[known] = source[row[known]].to(tensor.dtype)
    if new_rows == "mean" and carried:
        tensor[~known] = tensor[known].mean(dim=0)
    return Carried(
        rows=side,
        carried=carried,
        fresh=len(tensor) - carried,
        lost=len(source) - carried,
        reason="" if carried else f"no {side} is known to both",
    )


def _misfit(tensor: Tensor, source: Tensor | None, num_old_rows: int | None) -> str:
    """Why a tensor cannot be taken over; empty where it can."""
    if source is None:
        return "the old model has no such tensor"
    if num_old_rows is None:
        fits = source.shape == tensor.shape
    else:
        fits = source.shape[:1] == (num_old_rows,) and source.shape[1:] == tensor.shape[1:]
    return "" if fits else f"its shape was {_shape(source)}, the new one is {_shape(tensor)}"


def _num_rows(tensor: Tensor, side: Side | None) -> int:
    return 1 if side is None else len(tensor)


def _shape(tensor: Tensor) -> str:
    return " × ".join(map(str, tensor.shape)) or "a scalar"


def _ids(directory: Path, file: str) -> RawIds:
    return {side: read_table(directory / file.format(side))[f"{side}_id"].combine_chunks() for side in _SIDES}
