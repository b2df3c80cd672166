"""One row per pair, whatever the order of the rows."""

import random
import tempfile
from pathlib import Path

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from components.data.interactions import Gathering

ROW = st.tuples(
    st.sampled_from(["a", "ä", "b"]),
    st.sampled_from(["x", "日", "y"]),
    st.sampled_from([1.0, 2.0]),
    st.sampled_from([10, 20]),
    st.sampled_from([None, "p", "q"]),
    st.integers(0, 2),
)
SCHEMA = {
    "user_id": pl.String,
    "item_id": pl.String,
    "rating": pl.Float64,
    "timestamp": pl.Int64,
    "shop": pl.String,
    "part": pl.Int8,
}


def gathered(rows: list[tuple], batch: int, range_bytes: int) -> tuple[list[tuple], int, list[tuple]]:
    with tempfile.TemporaryDirectory() as scratch:
        return _gathered(Gathering(Path(scratch), range_bytes=range_bytes), rows, batch)


def _gathered(gathering: Gathering, rows: list[tuple], batch: int) -> tuple[list[tuple], int, list[tuple]]:
    for start in range(0, len(rows), batch):
        frame = pl.DataFrame(rows[start : start + batch], schema=SCHEMA, orient="row")
        file = pl.lit(0, pl.Int32).alias("file")
        line = pl.int_range(start, start + len(frame), eager=True).alias("line")
        gathering.add(frame.with_columns(file, line))
    ranges = list(gathering.distinct())
    return (
        [row for found in ranges for row in found.frame.rows()],
        sum(found.num_duplicates for found in ranges),
        [row for found in ranges for row in found.clashes.rows()],
    )


@settings(deadline=None)
@given(
    rows=st.lists(ROW, min_size=1, max_size=30),
    batch=st.integers(1, 30),
    range_bytes=st.sampled_from([1, 100, 500, 1 << 20]),
    seed=st.integers(0, 9),
)
def test_the_earliest_part_then_the_latest_then_the_best_rated_stays(
    rows: list[tuple], batch: int, range_bytes: int, seed: int
) -> None:
    """However much of it has to wait on disk."""
    table, duplicates, clashes = gathered(rows, batch, range_bytes)
    # null sorts before text
    best = {}
    for row in rows:
        user, item, rating, time, shop, part = row
        rank = (part, -time, -rating, shop is not None, shop or "")
        best[user, item] = min(best.get((user, item), (rank, row)), (rank, row), key=lambda entry: entry[0])
    assert table == [row for _, (_, row) in sorted(best.items())]

    later = [(n, row[0], row[1]) for n, row in enumerate(rows) if row[5] > best[row[0], row[1]][1][5]]
    assert sorted(clash[1:] for clash in clashes) == later
    assert duplicates == len(rows) - len(best) - len(later)

    shuffled = random.Random(seed).sample(rows, len(rows))
    assert gathered(shuffled, 7, range_bytes)[0] == table


def test_ids_sort_by_their_bytes_or_as_numbers(tmp_path: Path) -> None:
    for ids, expected in (
        (["b", "B", "é", "a", "10", "9"], ["10", "9", "B", "a", "b", "é"]),
        ([10, 9, -3], [-3, 9, 10]),
    ):
        gathering = Gathering(tmp_path, range_bytes=1)
        for id_ in ids:
            gathering.add(pl.DataFrame({"user_id": [id_], "item_id": [id_]}))
        assert [user for found in gathering.distinct() for user in found.frame["user_id"]] == expected
