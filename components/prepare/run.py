"""From interactions to a dataset: positives, k-core, split, dense ids."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
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
    RATING,
    TIMESTAMP,
    USER,
    USER_ID,
)
from components.core.errors import InvalidInputError
from components.core.hashing import derive_seed
from components.core.recipe import PrepareParams
from components.core.stage import Context
from components.data.contracts.dataset import schemas
from components.data.contracts.own import check
from components.data.document import write_document
from components.data.kcore import Peeled, largest_core, peel
from components.data.parquet import read_schema, read_table, write_table
from components.data.splits import TEST, TRAIN, VALID, Parts, Positives
from components.data.vocabulary import Codes, encode_sorted

_NUM_SAMPLES = 5  # ids told in a message


@dataclass(frozen=True)
class _Table:
    """Interactions with ids as places in the sorted `user_ids` and `item_ids`; `columns` are the others."""

    user_N: Codes
    item_N: Codes
    columns: pa.Table
    user_ids: pa.Array
    item_ids: pa.Array

    def take(self, positions: Any) -> "_Table":
        columns = self.columns.take(pa.array(positions))
        return replace(self, user_N=self.user_N[positions], item_N=self.item_N[positions], columns=columns)


def run(
    params: PrepareParams, inputs: Mapping[str, Path], output: Path, context: Context
) -> Mapping[str, float]:
    """Write the parts, the vocabularies and `preparation.json`.

    Raises:
        InvalidInputError: a column that the recipe needs is not there, the core is empty, train or test
            would be, an interaction is unseen where that is an error, or an expectation of the recipe
            cannot be asked.
    """
    path = inputs["interactions"] / "interactions.parquet"
    check(params.expectations, schemas(read_schema(path)))
    table = _read(path)
    positive = _rated(table, params.min_rating)
    below = len(table.user_N) - len(positive.user_N)
    peeled, core = _core(positive, params)
    split_N = _split(core, params)
    part_N, unseen = _judge_unseen(core, split_N, params)
    _require_parts(part_N, split_N, params)
    dense = _dense(core, part_N)
    counts = _write(dense, part_N[part_N >= 0], output)
    document: dict[str, Any] = {
        "below_min_rating": below,
        "core": params.thresholds().model_dump(),
        "core_reached": {
            "users": int(np.unique(core.user_N, return_counts=True)[1].min()),
            "items": int(np.unique(core.item_N, return_counts=True)[1].min()),
        },
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


def _read(path: Path) -> _Table:
    table = read_table(path)
    user_N, user_ids = encode_sorted(table[USER_ID])
    item_N, item_ids = encode_sorted(table[ITEM_ID])
    return _Table(user_N, item_N, table.drop_columns([USER_ID, ITEM_ID]), user_ids, item_ids)


def _rated(table: _Table, min_rating: float | None) -> _Table:
    if min_rating is None:
        return table
    if RATING not in table.columns.column_names:
        raise InvalidInputError(f"prepare.min_rating: got {min_rating}, but the source has no ratings")
    rating = table.columns[RATING].to_numpy()
    good = np.flatnonzero(rating >= min_rating)
    if not len(good):
        raise InvalidInputError(f"prepare.min_rating: got {min_rating}, the best rating is {rating.max()}")
    return table.take(good)


def _core(table: _Table, params: PrepareParams) -> tuple[Peeled, _Table]:
    thresholds = params.thresholds()
    peeled = peel(table.user_N, table.item_N, thresholds)
    if not len(peeled.kept):
        largest = largest_core(table.user_N, table.item_N, thresholds)
        symmetrical = thresholds.users == thresholds.items
        need = str(largest.users) if symmetrical else f"users: {largest.users}, items: {largest.items}"
        got = (
            str(thresholds.users) if symmetrical else f"users: {thresholds.users}, items: {thresholds.items}"
        )
        raise InvalidInputError(
            f"prepare.core: got {got}, which leaves none of {len(table.user_N):,} interactions; "
            f"the largest core that leaves something is {need}"
        )
    return peeled, table.take(peeled.kept)


def _split(table: _Table, params: PrepareParams) -> Parts:
    columns = table.columns
    names = columns.column_names
    part_N = None
    if PART in names:
        part_N = pc.index_in(columns[PART], pa.array(PARTS)).to_numpy().astype(np.int8)
    positives = Positives(
        user_N=table.user_N,
        item_N=table.item_N,
        user_ids=table.user_ids,
        item_ids=table.item_ids,
        timestamp_N=columns[TIMESTAMP].to_numpy() if TIMESTAMP in names else None,
        part_N=part_N,
    )
    seed = derive_seed(params.seed, "prepare", "split")
    split: Parts = type(params.split).load()(params.split, positives, seed)
    return split


def _judge_unseen(table: _Table, split_N: Parts, params: PrepareParams) -> tuple[Parts, dict[str, int]]:
    """The split after the recipe's word on what train does not know (-1 is dropped), and how much it was."""
    known_N = np.ones(len(split_N), bool)
    strangers = {}
    for name, code_N, ids in (
        ("users", table.user_N, table.user_ids),
        ("items", table.item_N, table.item_ids),
    ):
        known = np.zeros(len(ids), bool)
        known[code_N[split_N == TRAIN]] = True
        known_N &= known[code_N]
        strangers[name] = ids.take(pa.array(np.unique(code_N[~known[code_N]])))
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
    judged = np.where(known_N, split_N, TRAIN if params.unseen == "move" else -1)
    return judged.astype(np.int8), counts


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


def _dense(table: _Table, part_N: Parts) -> _Table:
    """What stays, with users and items numbered without holes in the order of their ids."""
    kept = table.take(np.flatnonzero(part_N >= 0))
    users, user_N = np.unique(kept.user_N, return_inverse=True)
    items, item_N = np.unique(kept.item_N, return_inverse=True)
    return _Table(
        user_N=user_N.astype(np.int32),
        item_N=item_N.astype(np.int32),
        columns=kept.columns,
        user_ids=table.user_ids.take(pa.array(users)),
        item_ids=table.item_ids.take(pa.array(items)),
    )


def _write(table: _Table, part_N: Parts, output: Path) -> dict[str, int]:
    others = {name: table.columns[name] for name in table.columns.column_names if name != PART}
    rows = pa.table({USER: table.user_N, ITEM: table.item_N, **others})
    for place, part in enumerate(PARTS):
        write_table(rows.filter(pa.array(part_N == place)), output / f"{part}.parquet")
    train = part_N == TRAIN
    for name, dense, raw, code_N, ids in (
        ("users", USER, USER_ID, table.user_N, table.user_ids),
        ("items", ITEM, ITEM_ID, table.item_N, table.item_ids),
    ):
        vocabulary = pa.table(
            {
                dense: np.arange(len(ids), dtype=np.int32),
                raw: ids,
                NUM_INTERACTIONS: np.bincount(code_N, minlength=len(ids)).astype(np.int32),
                NUM_TRAIN: np.bincount(code_N[train], minlength=len(ids)).astype(np.int32),
            }
        )
        write_table(vocabulary, output / f"{name}.parquet")
    return {"users": len(table.user_ids), "items": len(table.item_ids)}


def _sizes(part_N: Parts) -> dict[str, int]:
    return {part: int(np.count_nonzero(part_N == place)) for place, part in enumerate(PARTS)}
