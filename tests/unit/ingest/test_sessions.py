"""Items that are seen together in sessions."""

import gzip
import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from components.catalog import INGEST
from components.core.errors import GateFailedError, InvalidInputError
from components.core.recipe import IngestParams
from components.core.recipe.source import SessionsSource
from components.core.stage import StageResult, execute
from components.data.document import read_document
from components.data.parquet import read_table
from components.ingest import sessions
from components.ingest.sessions import co_occurrences

BLANKS = {
    "format": {"kind": "delimited", "delimiter": " ", "header": False},
    "columns": {"session": 0, "item": 1},
}


def ingest(root: Path, text: str, *, rejected: float = 0.0, **source: Any) -> StageResult:
    """Two files, so that sessions go on from one to the other."""
    lines = text.splitlines(keepends=True)
    (root / "raw").mkdir(parents=True)
    for number in (0, 1):
        (root / "raw" / f"{number}.txt.gz").write_bytes(gzip.compress("".join(lines[number::2]).encode()))
    config = SessionsSource(path=str(root / "raw"), **BLANKS, **source)
    params = IngestParams(source=config, max_rejected_fraction=rejected, seed=1)
    return execute(INGEST, params, config.locations(), str(root / "out"))


def pairs_of(result: StageResult) -> list[tuple]:
    return [tuple(row.values()) for row in read_table(Path(result.uri) / "interactions.parquet").to_pylist()]


# sessions 1: a b; 2: a b c (one row twice); 3: a; 4: a b c d
TEXT = "1 a\n2 a\n3 a\n4 d\n1 b\n2 c\n4 a\n2 b\n4 b\n2 a\n4 c\n"


def test_pairs_go_both_ways_and_the_profile_accounts_for_every_row(tmp_path: Path) -> None:
    result = ingest(tmp_path, TEXT, max_session_length=3)
    assert pairs_of(result) == [("a", "b"), ("a", "c"), ("b", "a"), ("b", "c"), ("c", "a"), ("c", "b")]
    profile = read_document(Path(result.uri) / "profile.json")
    assert profile["sessions"] == {"rows": 10, "sessions": 4, "alone": 1, "too_long": 1, "rare_pairs": 0}
    assert (profile["rows"], profile["duplicates_dropped"], profile["rejected_rows"]) == (11, 1, 0)
    assert (profile["users"], profile["items"], profile["interactions"]) == (3, 3, 6)


def test_pairs_that_few_sessions_hold_are_left_out(tmp_path: Path) -> None:
    result = ingest(tmp_path, TEXT, min_count=3)
    assert pairs_of(result) == [("a", "b"), ("b", "a")]
    assert read_document(Path(result.uri) / "profile.json")["sessions"]["rare_pairs"] == 10


def test_integer_ids(tmp_path: Path) -> None:
    result = ingest(tmp_path, "7 10\n7 9\n", ids="integer")
    assert pairs_of(result) == [(9, 10), (10, 9)]


def test_the_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    forth = ingest(tmp_path / "forth", TEXT)
    back = ingest(tmp_path / "back", "".join(TEXT.splitlines(keepends=True)[::-1]))
    place = "interactions.parquet"
    assert (Path(forth.uri) / place).read_bytes() == (Path(back.uri) / place).read_bytes()


def test_rejected_rows_are_told_in_the_words_of_the_source(tmp_path: Path) -> None:
    with pytest.raises(GateFailedError, match=r"1 of 4 rows .*\n.*1 × session is not an integer, as in 0"):
        ingest(tmp_path, "x 1\n1 2\n1 3\n1 4\n", ids="integer")


def test_nothing_seen_together_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"4 sessions: of 4 1 hold one item and 0 more than"):
        ingest(tmp_path, TEXT, min_count=4)


def test_session_and_item_are_two_columns() -> None:
    with pytest.raises(ValidationError, match="session and item: got 'x' for both"):
        SessionsSource(path="x", columns={"session": "x", "item": "x"})


@given(
    st.sets(st.tuples(st.integers(0, 9), st.integers(0, 7)), min_size=1),
    st.integers(2, 6),
    st.integers(1, 3),
    st.sampled_from([1, 7, 1000]),
)
def test_co_occurrences_are_those_of_a_slow_count(
    rows: set[tuple[int, int]], max_length: int, min_count: int, chunk: int
) -> None:
    held: dict[int, list[int]] = {}
    for session, item in rows:
        held.setdefault(session, []).append(item)
    together = Counter(
        pair
        for members in held.values()
        if len(members) <= max_length
        for pair in itertools.permutations(members, 2)
    )
    frame = pl.DataFrame(list(rows), schema={"session": pl.Int32, "item": pl.Int32}, orient="row")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sessions, "_CHUNK", chunk)
        pairs, found = co_occurrences(frame, max_length, min_count)
    often = {pair: count for pair, count in together.items() if count >= min_count}
    assert {(item, other): count for item, other, count in pairs.iter_rows()} == often
    assert found == {
        "rows": len(rows),
        "sessions": len(held),
        "alone": sum(len(members) == 1 for members in held.values()),
        "too_long": sum(len(members) > max_length for members in held.values()),
        "rare_pairs": len(together) - len(often),
    }


@pytest.mark.realdata
def test_yoochoose_pairs_are_those_of_a_slow_count(data_dir: Path, tmp_path: Path) -> None:
    place = data_dir / "yoochoose" / "period_16.txt.gz"
    config = SessionsSource(path=str(place), **BLANKS, ids="integer", max_session_length=30, min_count=2)
    result = execute(INGEST, IngestParams(source=config, seed=1), config.locations(), str(tmp_path / "out"))
    held: dict[str, set[int]] = {}
    for line in gzip.decompress(place.read_bytes()).decode().splitlines():
        session, item = line.split()
        held.setdefault(session, set()).add(int(item))
    together = Counter(
        pair for members in held.values() if len(members) <= 30 for pair in itertools.permutations(members, 2)
    )
    assert pairs_of(result) == sorted(pair for pair, count in together.items() if count >= 2)
