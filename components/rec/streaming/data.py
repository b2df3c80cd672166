"""A prepared stream as tensors, in the ids of the model that follows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from components.core import columns
from components.data.document import read_document
from components.data.matching import positions
from components.data.parquet import TableFile, read_table
from components.rec.streaming.model import SIDES, Side, StreamBatch

RAW: Final[Mapping[Side, str]] = {"user": columns.USER_ID, "item": columns.ITEM_ID}
RawIds = Mapping[Side, pa.Array]
NO_IDS: Final[RawIds] = {side: pa.array([], pa.string()) for side in SIDES}


@final
@dataclass(frozen=True, kw_only=True)
class StreamData:
    """Interactions in the order of the stream.

    Attributes:
        batch: all of them; a model's ids are dense by first appearance since it began.
        row_N: their places in the delivery.
        last: the last timestamp.
        ids: the raw ids by the model's, those that are still to appear included.
        classes: of the label.
    """

    batch: StreamBatch
    row_N: npt.NDArray[np.int64]
    last: int
    ids: RawIds
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.batch)

    @classmethod
    def load(cls, dataset: Path, parts: Sequence[str], known: RawIds) -> Self:
        """Consecutive parts of a dataset artifact.

        Args:
            known: the raw ids that a model knows already, by its own.
        """
        files = [TableFile(dataset / f"{part}.parquet") for part in parts]

        def values(column: str) -> npt.NDArray[np.int64]:
            return np.concatenate([file.values(column) for file in files]).astype(np.int64)

        ids: dict[Side, pa.Array] = {}
        found: dict[Side, Tensor] = {}
        for side in SIDES:
            ids[side], place_N = _continued(dataset / f"{side}s.parquet", RAW[side], known[side])
            found[side] = torch.from_numpy(place_N[values(side)])
        label_N = torch.from_numpy(values(columns.LABEL))
        return cls(
            batch=StreamBatch(found["user"], found["item"], label_N),
            row_N=values(columns.ROW),
            last=int(values(columns.TIMESTAMP)[-1]),
            ids=ids,
            classes=tuple(read_document(dataset / "preparation.json")["classes"]),
        )


def read_ids(directory: Path, name: str) -> RawIds:
    """The raw ids of a table for each side, in its order.

    Args:
        name: of the tables, in which {side} stands for the side.
    """
    files = {side: TableFile(directory / name.replace("{side}", side)) for side in SIDES}
    return {side: file.read([RAW[side]])[RAW[side]].combine_chunks() for side, file in files.items()}


def _continued(vocabulary: Path, raw: str, known: pa.Array) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """The known ids and then those that are new, in the order in which they appear; and the place of each of
    the dataset's among them."""
    ids = read_table(vocabulary)[raw].combine_chunks()
    place_N = positions(ids, known)
    is_new_N = place_N < 0
    place_N[is_new_N] = len(known) + np.arange(np.count_nonzero(is_new_N))
    return pa.concat_arrays([known, ids.filter(pa.array(is_new_N))]), place_N
