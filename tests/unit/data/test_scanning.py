"""Tables on disk, read a part at a time."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.data import scanning
from components.data.contracts.checker import Checker
from components.data.contracts.expectations import between, not_null, row_count, unique
from components.data.parquet import TableFile, write_table
from components.data.scanning import count_values, num_out_of_order, parts_by, scan_table

PAIRS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=12)


def stored(folder: Path, pairs: list[tuple[str, int]]) -> TableFile:
    user, item = zip(*pairs, strict=True) if pairs else ((), ())
    table = pa.table({"user": pa.array(user, pa.string()), "item": pa.array(item, pa.int64())})
    write_table(table, folder / "table.parquet")
    return TableFile(folder / "table.parquet")


@settings(deadline=None)
@given(pairs=PAIRS, ordered=st.booleans(), rows=st.integers(1, 5))
def test_parts_are_the_table_and_no_value_stands_in_two(
    pairs: list[tuple[str, int]], ordered: bool, rows: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pairs = sorted(pairs) if ordered else pairs
    file = stored(tmp_path_factory.mktemp("table"), pairs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanning, "_PART_ROWS", rows)
        parts = [part.to_pylist() for part in parts_by(file, "user", ["item", "user"])]
    assert [(row["user"], row["item"]) for part in parts for row in part] == pairs
    users = [user for part in parts for user in {row["user"] for row in part}]
    assert len(users) == len(set(users))
    assert len(parts) == 1 or all(parts)
    assert num_out_of_order(file, "user", "item") == sum(two <= one for one, two in pairwise(pairs))


def test_values_are_counted_in_their_order(tmp_path: Path) -> None:
    file = stored(tmp_path, [("b", 1), ("a", 2), ("b", 2)])
    assert count_values(scan_table(file.path), "user").rows() == [("a", 1), ("b", 2)]


@settings(deadline=None)
@given(chosen=st.lists(st.booleans(), min_size=6, max_size=6))
def test_rows_may_be_chosen(chosen: list[bool], tmp_path_factory: pytest.TempPathFactory) -> None:
    file = stored(tmp_path_factory.mktemp("table"), [("a", number) for number in range(6)])
    expected = [number for number, kept in enumerate(chosen) if kept]
    mask = np.array(chosen)
    assert file.values("item", mask).tolist() == expected
    assert file.read(["item"], mask)["item"].to_pylist() == expected
    assert sum(part.num_rows for part in file.parts([], chosen=mask)) == len(expected)


@pytest.fixture(scope="module")
def checker() -> Checker:
    return Checker("parts")


@pytest.mark.parametrize("seed", range(8))
def test_what_is_found_in_parts_is_what_is_found_in_the_whole(checker: Checker, seed: int) -> None:
    """Bad rows in some parts, in all, or in none; nulls; a part in which nothing is left to look at."""
    generator = np.random.default_rng(seed)
    rows = pd.DataFrame({"a": np.sort(generator.integers(0, 6, 30)), "b": generator.integers(0, 9, 30) + 0.0})
    rows.loc[generator.random(30) < seed / 7, "b"] = np.nan
    asked = [row_count(1, 30 - seed % 2), not_null("b"), between("b", seed / 2, None), unique("a", "b")]
    parts = (rows[rows["a"].between(low, low + 1)].reset_index(drop=True) for low in (0, 2, 4))
    whole = checker.check(f"whole {seed}", rows, asked)
    for joined, found in zip(checker.check_parts(f"parts {seed}", parts, asked), whole, strict=True):
        assert joined.success == found.success
        assert joined.expectation_config.type == found.expectation_config.type
        for name, value in joined.result.items():
            if name == "partial_unexpected_list":
                assert repr(value) == repr(found.result[name])
            else:
                assert value == pytest.approx(found.result[name]), name
