"""Weights of an older model as the start of a new one, by tensor name and raw id."""

import json
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
class Differences:
    """Why weights that fit by shape mean something else now; empty where they do not.

    Attributes:
        rows: of tensors with rows.
        others: of the other tensors.
    """

    rows: str = ""
    others: str = ""


@final
@dataclass(frozen=True, kw_only=True)
class OldModel:
    """A finished model's weights, and the raw ids of their rows."""

    weights: Mapping[str, Tensor]
    ids: RawIds
    differences: Differences = Differences()

    @classmethod
    def read(cls, model: Path, ids: RawIds, device: torch.device, differences: Differences) -> "OldModel":
        """From a model artifact."""
        return cls(weights=load_tensors(model / WEIGHTS_FILE, device), ids=ids, differences=differences)


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
    fields = [field for field in fields if field[columns.SIZE]]  # a history has rows of another field
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


def no_differences(model: Path, dataset: Path) -> Differences:
    """Of ranking models: what is no row has the same meaning in all of them that have it."""
    return Differences()


def of_classifiers(model: Path, dataset: Path) -> Differences:
    """Of a classifier's artifact for a dataset. A network's weights belong to the fields in their order, and
    linear weights and outputs to the classes."""
    classes = [
        json.loads((place / name).read_text())["classes"]
        for place, name in ((model, "classes.json"), (dataset, "preparation.json"))
    ]
    if classes[0] != classes[1]:
        theirs, ours = (", ".join(names) for names in classes)
        told = f"the champion's classes are {theirs}, those of the data {ours}"
        return Differences(rows=told, others=told)
    fields = [
        read_table(place / "fields.parquet").select([columns.FIELD, columns.POOLING]).to_pylist()
        for place in (model, dataset)
    ]
    return Differences(others="" if fields[0] == fields[1] else "the champion has other fields")


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
            of its kind that were taken over (if any).
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
        other = old.differences.others if side is None else old.differences.rows
        reason = _misfit(tensor, source, None if side is None else len(old.ids[side])) or other
        if source is None or reason:
            lost = 0 if source is None else _num_rows(source, side)
            became[name] = Carried(rows=side, fresh=_num_rows(tensor, side), lost=lost, reason=reason)
        elif side is None:
            tensor.copy_(source * scale if name in trained else source)
            became[name] = Carried(rows=None, carried=1)
        else:
            row = rows[side].to(tensor.device)
            groups = model.group_R(name).to(tensor.device) if new_rows == "mean" else None
            became[name] = _carry_rows(tensor, source * scale, row, side, groups)
    for name in sorted(old.weights.keys() - became.keys()):
        became[name] = Carried(rows=None, lost=1, reason="the new model has no such tensor")
    return became


def _carry_rows(tensor: Tensor, source: Tensor, row: Tensor, side: Side, group_R: Tensor | None) -> Carried:
    """`row` is the row in `source` of each row of `tensor`, or -1. With groups, new rows become the mean of
    those of their group that were taken over."""
    known = row >= 0
    carried = int(known.sum())
    tensor[known] = source[row[known]].to(tensor.dtype)
    if group_R is not None:
        num_groups = int(group_R.max()) + 1
        count_G = torch.bincount(group_R[known], minlength=num_groups)
        total_GD = tensor.new_zeros(num_groups, *tensor.shape[1:]).index_add(0, group_R[known], tensor[known])
        fresh = ~known & (count_G[group_R] > 0)
        tensor[fresh] = (total_GD / count_G.clamp(min=1)[:, None])[group_R[fresh]]
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
