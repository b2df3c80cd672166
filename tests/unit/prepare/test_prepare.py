"""The prepare stage through its harness."""

import itertools
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from components.catalog import INGEST, PREPARE
from components.core.errors import InvalidInputError
from components.core.manifest import MANIFEST
from components.core.recipe import IngestParams, PrepareParams
from components.core.recipe.source import FilesSource
from components.core.stage import StageResult, execute
from components.data.document import read_document
from components.data.parquet import read_table

NUMBERS = itertools.count()
COLUMNS = {"rating": "rating", "timestamp": "timestamp", "features": {"shop": "shop"}}
HEADER = "user_id,item_id,rating,timestamp,shop\n"


def interactions(root: Path, rows: list[tuple], files: int = 1, **source: Any) -> str:
    """Ingest (user, item, rating, timestamp, shop) from some files."""
    place = root / f"source-{next(NUMBERS)}"
    place.mkdir()
    for number in range(files):
        lines = "".join(",".join(map(str, row)) + "\n" for row in rows[number::files])
        (place / f"{number}.csv").write_text(HEADER + lines)
    files_source = FilesSource(path=str(place), columns=COLUMNS, **source)
    params = IngestParams(source=files_source, seed=1)
    return execute(INGEST, params, files_source.locations(), f"{place}-interactions").uri


def given_parts(root: Path, parts: dict[str, str]) -> str:
    """Ingest parts of `user item` pairs, written as words: "ax by" is (a, x), (b, y)."""
    place = root / f"source-{next(NUMBERS)}"
    place.mkdir()
    for part, words in parts.items():
        lines = "".join(f"{user} {item}\n" for user, item in words.split())
        (place / f"{part}.txt").write_text(lines)
    source = FilesSource(
        parts={part: str(place / f"{part}.txt") for part in parts}, format={"kind": "adjacency"}
    )
    return execute(
        INGEST, IngestParams(source=source, seed=1), source.locations(), f"{place}-interactions"
    ).uri


def prepare(root: Path, interactions_uri: str, *, seed: int = 1, **params: Any) -> StageResult:
    output = str(root / f"dataset-{next(NUMBERS)}")
    return execute(PREPARE, PrepareParams(seed=seed, **params), {"interactions": interactions_uri}, output)


def pairs(result: StageResult, part: str) -> set[tuple[str, str]]:
    """Raw ids of a part."""
    root = Path(result.uri)
    users = read_table(root / "users.parquet")["user_id"].to_pylist()
    items = read_table(root / "items.parquet")["item_id"].to_pylist()
    rows = read_table(root / f"{part}.parquet").to_pylist()
    return {(users[row["user"]], items[row["item"]]) for row in rows}


def made_up(users: int = 30, items: int = 20, seed: int = 5) -> list[tuple]:
    generator = random.Random(seed)
    return [
        (f"u{user}", f"i{item}", generator.randint(1, 5), generator.randint(0, 99), generator.choice("pq"))
        for user in range(users)
        for item in range(items)
        if generator.random() < 0.5
    ]


@pytest.mark.parametrize("kind", ["random", "temporal", "leave_one_out"])
def test_the_order_of_rows_and_their_files_leave_no_trace(kind: str, tmp_path: Path) -> None:
    rows = made_up()
    shuffled = random.Random(1).sample(rows, len(rows))
    sources = [interactions(tmp_path, rows), interactions(tmp_path, shuffled, files=3)]
    results = [prepare(tmp_path, source, core=4, split={"kind": kind}) for source in sources]
    assert results[0].sha256 == results[1].sha256
    for name in ("train", "valid", "test", "users", "items"):
        contents = [(Path(result.uri) / f"{name}.parquet").read_bytes() for result in results]
        assert contents[0] == contents[1]


def test_another_seed_splits_otherwise(tmp_path: Path) -> None:
    source = interactions(tmp_path, made_up())
    one, two = (prepare(tmp_path, source, seed=seed, core=2) for seed in (1, 2))
    assert pairs(one, "train") != pairs(two, "train")


def test_a_dataset_by_hand(tmp_path: Path) -> None:
    """Positives from rating 3 on; then c goes for want of interactions, and z with it."""
    rows = [
        ("a", "x", 5, 1, "p"), ("a", "y", 3, 2, "q"), ("a", "w", 4, 3, "p"),
        ("b", "x", 3, 4, "p"), ("b", "y", 4, 5, "p"), ("b", "w", 5, 6, "q"), ("b", "z", 5, 0, "q"),
        ("c", "z", 5, 8, "q"), ("c", "x", 2, 7, "p"),
    ]  # fmt: skip
    result = prepare(
        tmp_path,
        interactions(tmp_path, rows),
        core=2,
        min_rating=3,
        split={"kind": "temporal", "ratio": [4, 1, 1]},
    )
    root = Path(result.uri)
    assert read_table(root / "train.parquet").to_pylist() == [
        {"user": 0, "item": 0, "rating": 4.0, "timestamp": 3, "shop": "p"},
        {"user": 0, "item": 1, "rating": 5.0, "timestamp": 1, "shop": "p"},
        {"user": 0, "item": 2, "rating": 3.0, "timestamp": 2, "shop": "q"},
        {"user": 1, "item": 1, "rating": 3.0, "timestamp": 4, "shop": "p"},
    ]
    assert pairs(result, "valid") == {("b", "y")}
    assert pairs(result, "test") == {("b", "w")}
    users = read_table(root / "users.parquet")
    assert users.schema == pa.schema(
        [
            ("user", pa.int32()),
            ("user_id", pa.string()),
            ("num_interactions", pa.int32()),
            ("num_train", pa.int32()),
        ]
    )
    assert [tuple(row.values()) for row in users.to_pylist()] == [(0, "a", 3, 3), (1, "b", 3, 1)]
    items = read_table(root / "items.parquet").to_pylist()
    assert [tuple(row.values()) for row in items] == [(0, "w", 2, 1), (1, "x", 2, 2), (2, "y", 2, 1)]
    preparation = read_document(root / "preparation.json")
    assert preparation["below_min_rating"] == 1
    assert preparation["rounds"] == [
        {"users": 1, "items": 0, "interactions": 1},
        {"users": 0, "items": 1, "interactions": 1},
    ]
    assert preparation["core_reached"] == {"users": 3, "items": 2}
    assert preparation["sizes"] == {"train": 4, "valid": 1, "test": 1}


def test_the_parts_are_the_core_and_everybody_is_known(tmp_path: Path) -> None:
    rows = made_up(users=40, items=30)
    result = prepare(tmp_path, interactions(tmp_path, rows), core={"users": 13, "items": 12})
    kept = {row[:2] for row in rows}
    while True:
        users, items = Counter(user for user, _ in kept), Counter(item for _, item in kept)
        smaller = {(user, item) for user, item in kept if users[user] >= 13 and items[item] >= 12}
        if smaller == kept:
            break
        kept = smaller
    assert 0 < len(kept) < len(rows)
    parts = [pairs(result, part) for part in ("train", "valid", "test")]
    assert set.union(*parts) == kept
    assert sum(map(len, parts)) == len(kept)
    assert {user for user, _ in kept} == {user for user, _ in parts[0]}


TRAIN, VALID, TEST = "ax ay bw bx by ev", "aw bz", "av ew cx az"


def test_what_train_does_not_know_is_dropped_moved_or_an_error(tmp_path: Path) -> None:
    source = given_parts(tmp_path, {"train": TRAIN, "valid": VALID, "test": TEST})
    given: dict[str, Any] = {"core": 1, "split": {"kind": "given"}}
    with pytest.raises(InvalidInputError) as error:
        prepare(tmp_path, source, unseen="error", **given)
    assert "1 users ('c'); 1 items ('z') of 1 interactions in valid and 2 in test" in str(error.value)

    def words(result: StageResult, part: str) -> str:
        return " ".join(sorted("".join(pair) for pair in pairs(result, part)))

    dropped = prepare(tmp_path, source, unseen="drop", **given)
    assert [words(dropped, part) for part in ("train", "valid", "test")] == [TRAIN, "aw", "av ew"]
    assert read_document(Path(dropped.uri) / "preparation.json")["unseen"] == {
        "policy": "drop", "valid": 1, "test": 2, "users": 1, "items": 1,
    }  # fmt: skip
    assert dropped.metrics["unseen"] == 3

    moved = prepare(tmp_path, source, unseen="move", **given)
    assert [words(moved, part) for part in ("train", "valid", "test")] == [
        "ax ay az bw bx by bz cx ev", "aw", "av ew",
    ]  # fmt: skip


def test_validation_may_be_left_out_of_a_given_split_only(tmp_path: Path) -> None:
    source = given_parts(tmp_path, {"train": TRAIN, "test": TEST})
    result = prepare(tmp_path, source, core=1, split={"kind": "given", "valid_fraction": 0})
    assert pairs(result, "valid") == set()
    with pytest.raises(
        InvalidInputError, match="valid is empty: of 10 interactions the given split gave it 0"
    ):
        prepare(tmp_path, source, core=1, split={"kind": "given", "valid_fraction": 0.01})


ONE_USER = [("a", item, 1, n, "p") for n, item in enumerate("uvwxyz")]
LADDER = [(f"u{user}", f"i{item}", 1, 1, "p") for user in range(6) for item in range(user + 1)]


@pytest.mark.parametrize(
    ("rows", "params", "told"),
    [
        (ONE_USER, {"core": 5}, "prepare.core: got 5, which leaves none of 6 interactions; .* is 1$"),
        (ONE_USER, {"core": {"users": 9, "items": 1}}, r"got users: 9, items: 1, .* is users: 6, items: 1$"),
        (LADDER, {}, "prepare.core: got 10, which leaves none of 21 interactions; .* is 3$"),
        ([("a", "x", 1, 1, "p")] * 9, {}, "got 10, which leaves none of 1 interactions"),
        (ONE_USER, {"core": 1}, "valid is empty: of 6 interactions the random split gave it 1"),
        (ONE_USER[:1], {"core": 1}, "valid is empty: of 1 interactions the random split gave it 0"),
        (ONE_USER[:1], {"core": 1, "split": {"kind": "leave_one_out"}}, "valid is empty"),
        (LADDER, {"core": 1, "min_rating": 2}, "prepare.min_rating: got 2.0, the best rating is 1.0"),
        (LADDER, {"core": 1, "split": {"kind": "given"}}, "got given, but the source has no `parts`"),
    ],
)
def test_data_that_leave_nothing_to_learn_from(
    rows: list[tuple], params: dict[str, Any], told: str, tmp_path: Path
) -> None:
    source = interactions(tmp_path, rows)
    with pytest.raises(InvalidInputError, match=told):
        prepare(tmp_path, source, **params)
    assert not list(tmp_path.glob(f"dataset-*/{MANIFEST}"))


def test_columns_that_the_recipe_counts_on(tmp_path: Path) -> None:
    source = given_parts(tmp_path, {"train": TRAIN, "test": TEST})
    with pytest.raises(InvalidInputError, match=r"got 3\.0, but the source has no ratings"):
        prepare(tmp_path, source, core=1, min_rating=3)
    with pytest.raises(InvalidInputError, match="got temporal, but the source has no times"):
        prepare(tmp_path, source, core=1, split={"kind": "temporal"})
