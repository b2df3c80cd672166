"""Parquet → 10-core, ids, split: prepare's pipeline in memory against the loop over pandas that RecBole has.

python -m tests.benchmarks.speed.kcore [--scales 1 10] [--rounds 3]

A scale of 1 has the statistics of the Alibaba set (907,470 interactions), of 10 ten times as many of all.
Rows stand in scattered order, ids are integers or texts.
"""

import argparse
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from components.core.recipe.prepare import Core, RandomSplit
from components.data.kcore import peel
from components.data.parquet import TableFile
from components.data.splits import Positives, random
from components.prepare.rows import read_rows
from tests.benchmarks.speed.generated import generate
from tests.benchmarks.speed.machine import measure
from tests.benchmarks.speed.side_by_side import Competitor, Work, number, rates, table

K = 10
USERS, ITEMS, INTERACTIONS = 106_042, 53_591, 907_470
Ids = Literal["integer", "string"]
Prepared = tuple[np.ndarray, np.ndarray, pa.Array, pa.Array, np.ndarray]


def prepared(path: Path) -> Prepared:
    """Dense users and items, the raw ids by them, and the parts, with what the stage uses."""
    rows = read_rows(TableFile(path))
    rows = rows.keep(peel(rows.user_N, rows.item_N, Core(users=K, items=K)).stays_N)
    positives = Positives(
        user_N=rows.user_N,
        item_N=rows.item_N,
        user_ids=rows.user_ids,
        item_ids=rows.item_ids,
        timestamp_N=None,
        position_N=None,
        part_N=None,
    )
    return rows.user_N, rows.item_N, rows.user_ids, rows.item_ids, random(RandomSplit(), positives, 1)


def looped(path: Path) -> Prepared:
    """The same by RecBole's way: `_filter_by_inter_num` on raw ids, then factorize, then a shuffle."""
    frame = pq.read_table(path).to_pandas()
    if frame["user_id"].dtype != np.int64:
        frame = frame.astype(object)  # as in the pandas that RecBole is for, and faster to count
    counts = {column: Counter(frame[column].values) for column in frame}
    while True:
        banned = {
            column: {id_ for id_, times in counted.items() if times < K} for column, counted in counts.items()
        }
        if not any(banned.values()):
            break
        dropped = pd.Series(False, index=frame.index)
        for column, ids in banned.items():
            dropped |= frame[column].isin(ids)
        for column, counted in counts.items():
            counts[column] = counted - Counter(frame[column][dropped].values)
        frame = frame.drop(frame.index[dropped])
    (user, users), (item, items) = (pd.factorize(frame[column]) for column in ("user_id", "item_id"))
    part = np.empty(len(frame), np.int8)
    order = np.random.default_rng(1).permutation(len(frame))
    part[order] = np.repeat(
        [0, 1, 2], np.diff([0, *np.floor(len(frame) * np.array([0.6, 0.8, 1.0])).astype(int)])
    )
    return user, item, pa.array(users), pa.array(items), part


def ready(prepare: str, path: Path) -> Work:
    """Work for `rates`: rows that went in."""
    run, num_rows = {"recloop": prepared, "pandas loop": looped}[prepare], pq.read_metadata(path).num_rows

    def work() -> int:
        run(path)
        return num_rows

    return work


def check_equal(path: Path) -> int:
    """How many interactions are in the core, of which both find the same."""
    pairs, sizes = [], []
    for user, item, users, items, part in (prepared(path), looped(path)):
        ids = pa.table({"user": users.take(pa.array(user)), "item": items.take(pa.array(item))})
        pairs.append(ids.sort_by([("user", "ascending"), ("item", "ascending")]))
        sizes.append(np.bincount(part, minlength=3))
        assert len(np.unique(user)) == len(users), "an id without interactions"
        assert len(np.unique(item)) == len(items), "an id without interactions"
    assert pairs[0].equals(pairs[1].cast(pairs[0].schema)), "the cores differ"
    assert np.abs(sizes[0] - sizes[1]).max() <= 1, "the parts' sizes differ"
    return int(pairs[0].num_rows)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scales", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(measure())
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for scale in options.scales:
            interactions = generate(USERS * scale, ITEMS * scale, INTERACTIONS * scale, seed=0)
            for ids in ("integer", "string"):
                path = Path(folder) / f"{scale}-{ids}.parquet"
                interactions.write_parquet(path, ids=ids)
                left = check_equal(path)
                competitors = {
                    name: Competitor(partial(ready, name, path)) for name in ("recloop", "pandas loop")
                }
                found = rates(competitors, rounds=options.rounds)
                seconds = {name: len(interactions) / rate for name, rate in found.items()}
                ratio = seconds["pandas loop"] / seconds["recloop"]
                lines.append(
                    (
                        f"{len(interactions):,}, {ids} ids",
                        f"{left:,}",
                        *(f"{number(seconds[name])} s" for name in competitors),
                        f"{ratio:.1f}×",
                    )
                )
                path.unlink()
                print(lines[-1], flush=True)
    print(table(("rows", "in the 10-core", "recloop", "pandas loop", "ratio"), lines))


if __name__ == "__main__":
    main()
