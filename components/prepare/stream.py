"""From interactions to a stream: the order of time, ids by first appearance, and the tail that tests."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.core.columns import (
    ITEM,
    ITEM_ID,
    LABEL,
    NUM_INTERACTIONS,
    NUM_TRAIN,
    TIMESTAMP,
    USER,
    USER_ID,
)
from components.core.errors import InvalidInputError
from components.core.recipe import PrepareStreamParams
from components.core.stage import Context
from components.data.contracts.dataset.stream import schemas
from components.data.contracts.own import check
from components.data.document import read_document, write_document
from components.data.parquet import TableFile, write_table
from components.data.vocabulary import Codes, count_codes, encode_chunks

Times = npt.NDArray[np.int64]
Places = npt.NDArray[np.int64]
SIDES: Final = ((USER, USER_ID), (ITEM, ITEM_ID))


def run(
    params: PrepareStreamParams, inputs: Mapping[str, Path], output: Path, context: Context
) -> Mapping[str, float]:
    """Write `train` and `test`, the stream before its tail and the tail; `users` and `items`, the raw ids in
    the order in which they appear; and `preparation.json`.

    Raises:
        InvalidInputError: interactions are out of order where the recipe requires order; the champion knows
            them all; the tail would be all or nothing, or without a class; or an expectation of the recipe
            cannot be asked.
    """
    file = TableFile(inputs["interactions"] / "interactions.parquet")
    tables = schemas()
    check(params.expectations, tables)
    time_N = file.values(TIMESTAMP)
    row_N = _in_order(time_N, params)
    late = num_late(time_N)
    until = _learned_until(inputs)
    if until is not None:
        row_N = row_N[time_N[row_N] > until]
        _require_news(row_N, time_N, until)
    num_train = _num_train(len(row_N), params)
    label_N = file.values(LABEL)[row_N]
    counts = {
        part: count_codes(label_N[place], len(params.classes))
        for part, place in (("train", slice(num_train)), ("test", slice(num_train, None)))
    }
    _require_classes(counts["test"], params)
    codes, unknown = {}, {}
    for dense, raw in SIDES:
        code_N, ids = _by_appearance(file, dense, row_N)
        codes[dense] = code_N
        count_U, train_U = (count_codes(some, len(ids)) for some in (code_N, code_N[:num_train]))
        unknown[dense] = float((train_U[code_N[num_train:]] == 0).mean())
        columns = {NUM_INTERACTIONS: count_U.astype(np.int32), NUM_TRAIN: train_U.astype(np.int32)}
        table = pa.table({dense: np.arange(len(ids), dtype=np.int32), raw: ids, **columns})
        write_table(table, output / f"{dense}s.parquet")
    stream = pa.table([row_N, label_N, *codes.values(), time_N[row_N]], schema=tables["train"])
    write_table(stream.slice(0, num_train), output / "train.parquet")
    write_table(stream.slice(num_train), output / "test.parquet")
    sizes = {"train": num_train, "test": len(row_N) - num_train}
    document: dict[str, Any] = {
        "classes": list(params.classes),
        "thresholds": None if params.thresholds is None else list(params.thresholds),
        "missing": list(params.missing),
        "sizes": sizes,
        "class_counts": {
            part: dict(zip(params.classes, count_C.tolist(), strict=True)) for part, count_C in counts.items()
        },
        "users": int(codes[USER].max()) + 1,
        "items": int(codes[ITEM].max()) + 1,
        "unknown": unknown,
        "order": {"policy": params.order, "late": late},
        "left_out": len(time_N) - len(row_N),
        "tied": 0 if until is None else int(np.count_nonzero(time_N == until)),
        "learned_until": until,
        "last_timestamp": int(time_N[row_N[-1]]),
    }
    write_document(document, output / "preparation.json")
    return {
        **{part: float(size) for part, size in sizes.items()},
        **{f"{dense}s": float(document[f"{dense}s"]) for dense, _ in SIDES},
        "late": float(late),
        "left_out": float(document["left_out"]),
    }


def _in_order(time_N: Times, params: PrepareStreamParams) -> Places:
    """The rows by their timestamps, those of one timestamp as they were read."""
    if params.order == "require" and (back_M := np.flatnonzero(np.diff(time_N) < 0)).size:
        row = int(back_M[0]) + 1
        raise InvalidInputError(
            f"prepare.order: got 'require', but {len(back_M):,} of {len(time_N):,} interactions lie before "
            f"the one ahead of them, first row {row} at {_told(time_N[row])} after "
            f"{_told(time_N[row - 1])}; put the source in order, or say `order: sort`"
        )
    return np.argsort(time_N, kind="stable")


def num_late(time_N: Times) -> int:
    """How many interactions come after one with a larger timestamp."""
    return int(np.count_nonzero(time_N < np.maximum.accumulate(time_N)))


def _learned_until(inputs: Mapping[str, Path]) -> int | None:
    """The last timestamp that the champion has learned from."""
    if "champion" not in inputs:
        return None
    until: int = read_document(inputs["champion"] / "preparation.json")["last_timestamp"]
    return until


def _require_news(row_N: Places, time_N: Times, until: int) -> None:
    if not len(row_N):
        raise InvalidInputError(
            f"interactions: the champion has learned from everything up to {_told(until)}, and the last of "
            f"these {len(time_N):,} is of {_told(time_N.max())}; there is nothing new. To begin anew, say "
            "`training.warm_start: none`"
        )


def _num_train(num_rows: int, params: PrepareStreamParams) -> int:
    num_test = round(num_rows * params.test_tail)
    if not 0 < num_test < num_rows:
        raise InvalidInputError(
            f"prepare.test_tail: got {params.test_tail:g} of {num_rows:,} interactions, which is "
            f"{num_test:,}; need at least one before the tail and one in it"
        )
    return num_rows - num_test


def _require_classes(test_C: npt.NDArray[np.int64], params: PrepareStreamParams) -> None:
    missing = [name for name, count in zip(params.classes, test_C, strict=True) if not count]
    if missing:
        named = ", ".join(f"class {name!r}" for name in missing)
        raise InvalidInputError(
            f"test: the tail has no interaction of {named}; metrics are not defined without one; need a "
            "larger `prepare.test_tail`, more data, or fewer `source.label.classes`"
        )


def _by_appearance(file: TableFile, side: str, row_N: Places) -> tuple[Codes, pa.Array]:
    """The ids of some rows as numbers from 0 in the order in which they appear, and the raw ids."""

    def chunks() -> Iterator[pa.Array]:
        return (chunk for part in file.parts([side]) for chunk in part[side].chunks)

    sorted_N, ids = encode_chunks(chunks, file.num_rows, file.schema.field(side).type)
    chosen_N = sorted_N[row_N]
    there_U, first_U = np.unique(chosen_N, return_index=True)
    order_U = there_U[np.argsort(first_U)]
    place = np.full(len(ids), -1, np.int32)
    place[order_U] = np.arange(len(order_U), dtype=np.int32)
    return place[chosen_N], ids.take(pa.array(order_U))


def _told(timestamp: int) -> str:
    return f"{datetime.fromtimestamp(int(timestamp), UTC):%Y-%m-%d %H:%M:%S} UTC"
