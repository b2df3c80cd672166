"""From interactions to a dataset: positives, k-core, split, dense ids."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.core.columns import (
    ITEM,
    ITEM_ID,
    NUM_INTERACTIONS,
    NUM_TRAIN,
    PART,
    PARTS,
    POSITION,
    RATING,
    TIMESTAMP,
    USER,
    USER_ID,
)
from components.core.errors import InvalidInputError
from components.core.hashing import derive_seed
from components.core.recipe import PrepareParams
from components.core.stage import Context
from components.data.contracts.dataset.ranking import schemas
from components.data.contracts.own import check
from components.data.document import write_document
from components.data.kcore import Peeled, largest_core, peel
from components.data.parquet import TableFile, TableWriter, write_table
from components.data.splits import TEST, TRAIN, VALID, Parts, Positives
from components.data.vocabulary import count_codes
from components.prepare.rows import Mask, Rows, read_rows

_NUM_SAMPLES = 5  # ids told in a message


def run(
    params: PrepareParams, inputs: Mapping[str, Path], output: Path, context: Context
) -> Mapping[str, float]:
    """Write the parts, the vocabularies and `preparation.json`.

    Raises:
        InvalidInputError: a column that the recipe needs is not there, the core is empty, train or test
            would be, an interaction is unseen where that is an error, or an expectation of the recipe
            cannot be asked.
    """
    file = TableFile(inputs["interactions"] / "interactions.parquet")
    check(params.expectations, schemas(file.schema))
    rows = read_rows(file, _rated(file, params.min_rating))
    below = file.num_rows - len(rows)
    peeled = _peel(rows, params)
    rows = rows.keep(peeled.stays_N)
    core = _least(rows)
    split_N = _split(rows, params)
    part_N, unseen = _judge_unseen(rows, split_N, params)
    _require_parts(part_N, split_N, params)
    rows, part_N = rows.keep(part_N >= 0), part_N[part_N >= 0]
    _write_parts(rows, part_N, output)
    _write_vocabularies(rows, part_N == TRAIN, output)
    counts = {"users": len(rows.user_ids), "items": len(rows.item_ids)}
    document: dict[str, Any] = {
        "below_min_rating": below,
        "core": params.thresholds().model_dump(),
        "core_reached": core,
        "rounds": [asdict(removed) for removed in peeled.rounds],
        "split": {**params.split.model_dump(mode="json"), "sizes": _sizes(split_N)},
        "unseen": {"policy": params.unseen, **unseen},
        **counts,
        "sizes": _sizes(part_N),
    }
    write_document(document, output / "preparation.json")
    return {
        **{name: float(count) for name, count in counts.items()},
        **{name: float(count) for name, count in document["sizes"].items()},
        "core_rounds": float(len(peeled.rounds)),
        "unseen": float(unseen["valid"] + unseen["test"]),
    }


def _rated(file: TableFile, min_rating: float | None) -> Mask | None:
    """Which interactions are positives; None for all."""
    if min_rating is None:
        return None
    if RATING not in file.schema.names:
        raise InvalidInputError(f"prepare.min_rating: got {min_rating}, but the source has no ratings")
    rating_N = file.values(RATING)
    good: Mask = rating_N >= min_rating
    if not good.any():
        raise InvalidInputError(f"prepare.min_rating: got {min_rating}, the best rating is {rating_N.max()}")
    return good


def _peel(rows: Rows, params: PrepareParams) -> Peeled:
    thresholds = params.thresholds()
    peeled = peel(rows.user_N, rows.item_N, thresholds)
    if not peeled.stays_N.any():
        largest = largest_core(rows.user_N, rows.item_N, thresholds)
        symmetrical = thresholds.users == thresholds.items
        need = str(largest.users) if symmetrical else f"users: {largest.users}, items: {largest.items}"
        got = (
            str(thresholds.users) if symmetrical else f"users: {thresholds.users}, items: {thresholds.items}"
        )
        raise InvalidInputError(
            f"prepare.core: got {got}, which leaves none of {len(rows):,} interactions; "
            f"the largest core that leaves something is {need}"
        )
    return peeled


def _least(rows: Rows) -> dict[str, int]:
    """Interactions of the user and of the item that have the fewest."""
    sides = {"users": rows.user_N, "items": rows.item_N}
    return {name: int(count_codes(code_N).min()) for name, code_N in sides.items()}


def _split(rows: Rows, params: PrepareParams) -> Parts:
    names = rows.file.schema.names
    by_time = params.split.kind in {"temporal", "leave_one_out"}
    positives = Positives(
        user_N=rows.user_N,
        item_N=rows.item_N,
        user_ids=rows.user_ids,
        item_ids=rows.item_ids,
        timestamp_N=rows.values(TIMESTAMP) if by_time and TIMESTAMP in names else None,
        position_N=rows.values(POSITION) if by_time and POSITION in names else None,
        part_N=_given(rows) if PART in names else None,
    )
    seed = derive_seed(params.seed, "prepare", "split")
    split: Parts = type(params.split).load()(params.split, positives, seed)
    return split


def _given(rows: Rows) -> Parts:
    """The parts that the source came in."""
    parts = [pc.index_in(part[PART], pa.array(PARTS)).to_numpy() for part in rows.parts([PART])]
    return np.concatenate(parts).astype(np.int8)


def _judge_unseen(rows: Rows, split_N: Parts, params: PrepareParams) -> tuple[Parts, dict[str, int]]:
    """The split after the recipe's word on what train does not know (-1 is dropped), and how much it was."""
    known_N = np.ones(len(split_N), bool)
    strangers = {}
    for name, code_N, ids in (
        ("users", rows.user_N, rows.user_ids),
        ("items", rows.item_N, rows.item_ids),
    ):
        known = np.zeros(len(ids), bool)
        known[code_N[split_N == TRAIN]] = True
        known_N &= known[code_N]
        strangers[name] = ids.filter(pa.array(~known))
    counts = {
        "valid": int(np.count_nonzero(~known_N & (split_N == VALID))),
        "test": int(np.count_nonzero(~known_N & (split_N == TEST))),
        **{name: len(ids) for name, ids in strangers.items()},
    }
    if params.unseen == "error" and not known_N.all():
        told = "; ".join(
            f"{len(ids):,} {name} ({', '.join(map(repr, ids[:_NUM_SAMPLES].to_pylist()))})"
            for name, ids in strangers.items()
            if len(ids)
        )
        raise InvalidInputError(
            f"prepare.unseen: got error, and train does not know {told} of "
            f"{counts['valid']:,} interactions in valid and {counts['test']:,} in test; allowed: drop, move"
        )
    judged = np.where(known_N, split_N, np.int8(TRAIN if params.unseen == "move" else -1))
    return judged, counts


def _require_parts(part_N: Parts, split_N: Parts, params: PrepareParams) -> None:
    """Refuse a dataset with an empty part, unless the split leaves validation out on purpose."""
    for place, part in enumerate(PARTS):
        if place in part_N or (place == VALID and place not in split_N and _without_valid(params)):
            continue
        before = np.count_nonzero(split_N == place)
        raise InvalidInputError(
            f"prepare: {part} is empty: of {len(split_N):,} interactions the {params.split.kind} split gave "
            f"it {before:,}, and `unseen: {params.unseen}` left none; need more data, a lower core or "
            "another split"
        )


def _without_valid(params: PrepareParams) -> bool:
    split = params.split
    if split.kind == "given":
        return split.valid_fraction == 0
    return split.kind != "leave_one_out" and split.ratio[1] == 0


def _write_parts(rows: Rows, part_N: Parts, output: Path) -> None:
    others = [name for name in rows.file.schema.names if name not in {USER_ID, ITEM_ID, PART}]
    schema = pa.schema(
        [(USER, pa.int32()), (ITEM, pa.int32()), *(rows.file.schema.field(name) for name in others)]
    )
    with ExitStack() as stack:
        writers = [stack.enter_context(TableWriter(output / f"{part}.parquet", schema)) for part in PARTS]
        start = 0
        for some in rows.parts(others):
            here = slice(start, start + some.num_rows)
            table = pa.table([rows.user_N[here], rows.item_N[here], *some.columns], schema=schema)
            for place, writer in enumerate(writers):
                writer.write(table.filter(pa.array(part_N[here] == place)))
            start += some.num_rows


def _write_vocabularies(rows: Rows, in_train_N: Mask, output: Path) -> None:
    for name, dense, raw, code_N, ids in (
        ("users", USER, USER_ID, rows.user_N, rows.user_ids),
        ("items", ITEM, ITEM_ID, rows.item_N, rows.item_ids),
    ):
        vocabulary = pa.table(
            {
                dense: np.arange(len(ids), dtype=np.int32),
                raw: ids,
                NUM_INTERACTIONS: count_codes(code_N, len(ids)).astype(np.int32),
                NUM_TRAIN: count_codes(code_N[in_train_N], len(ids)).astype(np.int32),
            }
        )
        write_table(vocabulary, output / f"{name}.parquet")


def _sizes(part_N: Parts) -> dict[str, int]:
    return {part: int(np.count_nonzero(part_N == place)) for place, part in enumerate(PARTS)}
