"""Streams taken in: a made-up one, and interactions from files."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from components.catalog import INGEST
from components.core.errors import GateFailedError, InvalidInputError
from components.core.recipe import IngestStreamParams
from components.core.recipe.reading import build_recipe
from components.core.recipe.stream_data import SyntheticStream
from components.core.stage import StageResult, execute
from components.data.parquet import read_table
from components.ingest.synthetic_stream import read
from tests.unit.ingest.taking_in import profile_of, rejected_of, written

START = 1_704_067_200  # 2024-01-01 UTC


def stream(seed: int = 3, **source: Any) -> pl.DataFrame:
    (batch,) = read(SyntheticStream(**source), {}, seed)
    return batch.rows.frame


def counts(frame: pl.DataFrame, side: str, names: list[str]) -> np.ndarray:
    """How often each of some ids comes."""
    found = dict(frame[side].value_counts().iter_rows())
    return np.array([found.get(name, 0) for name in names])


# -- the made-up stream ----------------------------------------------------------------------------------


def test_it_is_a_function_of_the_seed_and_of_the_delivery(tmp_path: Path) -> None:
    outputs = []
    for number, (seed, delivery) in enumerate(((1, 1), (1, 1), (2, 1), (1, 2))):
        source = SyntheticStream(num_interactions=500, delivery=delivery)
        params = IngestStreamParams(source=source, seed=seed)
        result = execute(INGEST, params, {}, str(tmp_path / str(number)))
        outputs.append((Path(result.uri) / "interactions.parquet").read_bytes())
    assert outputs[0] == outputs[1]
    assert len(set(outputs)) == 3
    table = read_table(tmp_path / "0" / "interactions.parquet")
    assert table.column_names == ["label", "item", "user", "timestamp"]
    assert table.num_rows == 500


def test_deliveries_follow_one_another_in_time() -> None:
    """Each lies in thirty days of its own, however much it holds."""
    month = 30 * 24 * 3600
    for number, size in enumerate((1000, 300, 2000)):
        times = stream(num_interactions=size, delivery=number + 1)["timestamp"]
        assert times.is_sorted()
        assert START + number * month <= times.min()
        assert times.max() < START + (number + 1) * month


def test_deliveries_share_a_world_in_which_other_things_happen() -> None:
    """The same users are active, the same items popular, and the same items liked."""
    one, two = (
        stream(num_interactions=40_000, num_users=100, num_items=50, delivery=number) for number in (1, 2)
    )
    assert one.drop("timestamp").rows() != two.drop("timestamp").rows()
    for side in ("user", "item"):
        names = sorted(set(one[side]) | set(two[side]))
        both = [counts(frame, side, names) for frame in (one, two)]
        assert np.corrcoef(*both)[0, 1] > 0.99
    liked = [
        frame.group_by("item").agg(pl.col("label").mean()).sort("item")["label"].to_numpy()
        for frame in (one, two)
    ]
    assert np.corrcoef(*liked)[0, 1] > 0.95


def test_another_seed_is_another_world() -> None:
    one, two = (stream(seed, num_interactions=40_000, num_users=100, num_items=50) for seed in (1, 2))
    names = sorted(set(one["item"]) | set(two["item"]))
    both = [counts(frame, "item", names) for frame in (one, two)]
    assert abs(np.corrcoef(*both)[0, 1]) < 0.5


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.5])
def test_users_and_items_come_as_often_as_zipf_says(exponent: float) -> None:
    """The most frequent has its share, and the count falls as a power of the rank."""
    size, num_ids = 200_000, 300
    frame = stream(num_interactions=size, num_users=num_ids, num_items=num_ids, popularity_exponent=exponent)
    weight_R = np.arange(1, num_ids + 1.0) ** -exponent
    for side in ("user", "item"):
        count_R = np.sort(frame[side].value_counts()["count"].to_numpy())[::-1]
        assert count_R[0] / size == pytest.approx(1 / weight_R.sum(), rel=0.1)
        slope = np.polyfit(np.log(np.arange(1, 101)), np.log(count_R[:100]), 1)[0]
        assert slope == pytest.approx(-exponent, abs=0.05)


def test_without_an_exponent_all_are_alike() -> None:
    frame = stream(num_interactions=50_000, num_users=20, num_items=10, popularity_exponent=0)
    for side, num_ids in (("user", 20), ("item", 10)):
        count_R = frame[side].value_counts()["count"].to_numpy()
        assert count_R / 50_000 == pytest.approx(np.full(num_ids, 1 / num_ids), rel=0.1)


@pytest.mark.parametrize("num_classes", [2, 3, 10])
@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_classes_are_alike_frequent(num_classes: int, noise: float) -> None:
    frame = stream(num_interactions=5000, num_classes=num_classes, noise=noise)
    share_C = np.bincount(frame["label"].to_numpy(), minlength=num_classes) / 5000
    assert share_C == pytest.approx(np.full(num_classes, 1 / num_classes), abs=0.005)


def test_without_noise_a_user_says_the_same_of_an_item() -> None:
    """And with it not always."""

    def undecided(noise: float) -> int:
        frame = stream(num_interactions=5000, num_users=10, num_items=10, noise=noise)
        return int((frame.group_by("user", "item").agg(pl.col("label").n_unique())["label"] > 1).sum())

    assert undecided(0.0) == 0
    assert undecided(2.0) > 50


def test_the_smallest_stream_there_is() -> None:
    frame = stream(num_interactions=100, num_users=2, num_items=2, num_classes=2)
    assert set(frame["user"]) == {"u0", "u1"}
    assert set(frame["item"]) == {"i0", "i1"}
    assert frame["label"].n_unique() == 2


# -- files, through the stage ----------------------------------------------------------------------------

SOURCE: dict[str, Any] = {
    "kind": "files",
    "label": {"column": "stars", "thresholds": [4], "range": {"min": 0.5, "max": 5}},
    "fields": {"categorical": {"user": "u", "item": "i"}},
    "timestamp": "t",
}
GOOD = [("a", "x", 5, 30), ("b", "x", 3.5, 10), ("a", "y", 0.5, 20), ("a", "x", 5, 30), ("c", "z", 4, 10)]
KEPT = [("a", "x", 1, 30), ("b", "x", 0, 10), ("a", "y", 0, 20), ("a", "x", 1, 30), ("c", "z", 1, 10)]


def ingest(root: Path, content: str, *, allowed: float = 1.0, **source: Any) -> StageResult:
    """What the ingest stage of a recipe makes of a file."""
    path = written(root / "ratings.csv", "u,i,stars,t\n" + content)
    document = {
        "name": "ratings",
        "task": "stream",
        "workspace": str(root / "workspace"),
        "source": {**SOURCE, "path": path, **source},
        "max_rejected_fraction": allowed,
    }
    recipe = build_recipe(document, place="ratings")
    params = recipe.stage_params()["ingest"]
    return execute(INGEST, params, recipe.locations(), str(root / "interactions"))


def rows_of(result: StageResult) -> list[tuple[Any, ...]]:
    """User, item, label and timestamp."""
    table = read_table(Path(result.uri) / "interactions.parquet")
    assert table.column_names == ["label", "item", "user", "timestamp"]
    return [tuple(row.values()) for row in table.select(["user", "item", "label", "timestamp"]).to_pylist()]


def lines(rows: list[tuple[Any, ...]]) -> str:
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


def test_interactions_stand_as_they_were_read(tmp_path: Path) -> None:
    """In no other order, and also those that repeat another."""
    result = ingest(tmp_path, lines(GOOD))
    assert rows_of(result) == KEPT
    assert rejected_of(result) == []
    assert result.metrics == {"rows": 5, "rejected_rows": 0, "examples": 5, "duplicates": 1}
    profile = profile_of(result)
    assert profile["classes"] == {"0": 2, "1": 3}
    assert profile["fields"] == {
        "item": {"kind": "categorical", "nulls": 0, "distinct": 3},
        "user": {"kind": "categorical", "nulls": 0, "distinct": 3},
    }
    assert profile["time_range"] == {
        "first": "1970-01-01T00:00:10+00:00",
        "last": "1970-01-01T00:00:30+00:00",
    }


BAD = {
    ",x,5,10": "user is missing",
    "NA,x,5,10": "user is missing",
    "a,,5,10": "item is missing",
    "a,x,,10": "label is empty",
    "a,x,good,10": "label is not a number",
    "a,x,5.5,10": "label 5.5 lies above 5",
    "a,x,0,10": "label 0.0 lies below 0.5",
    "a,x,5,": "timestamp is not a number",
    "a,x,5,now": "timestamp is not a number",
    "a,x,5,-1": "timestamp is before 1970",
    "a,x,5,99999999999": "timestamp is in the far future (2100 or later); is `timestamp_unit` right?",
    "a" * 257 + ",x,5,10": "user is longer than 256 characters",
    "a,x,5": "has not 4 fields",
}


def test_interactions_that_cannot_be_used_are_set_aside_with_their_reason_and_no_others(
    tmp_path: Path,
) -> None:
    """One behind each of the good ones, and the rest at the end."""
    bad = [row + "\n" for row in BAD]
    mixed = [text for good, row in zip(GOOD, bad, strict=False) for text in (lines([good]), row)]
    result = ingest(tmp_path, "".join([*mixed, *bad[len(GOOD) :]]), missing=["", "NA"])
    assert rows_of(result) == KEPT
    places = [*range(3, 3 + 2 * len(GOOD), 2), *range(2 + 2 * len(GOOD), 2 + len(GOOD) + len(BAD))]
    assert rejected_of(result) == [
        ("ratings.csv", line, reason) for line, reason in zip(places, BAD.values(), strict=True)
    ]
    assert profile_of(result)["rejected_by_reason"]["user is missing"] == 2


def test_more_rejected_rows_than_the_recipe_allows_stop_the_stage(tmp_path: Path) -> None:
    with pytest.raises(GateFailedError, match=r"1 of 6 rows \(16\.67%\) cannot be used"):
        ingest(tmp_path, lines(GOOD) + ",x,5,10\n", allowed=0.16)


def test_interactions_of_one_class_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"source\.label: all 2 examples are of class 1"):
        ingest(tmp_path, lines([GOOD[0], GOOD[4]]))


def test_several_thresholds_make_several_classes(tmp_path: Path) -> None:
    label = {**SOURCE["label"], "thresholds": [2, 4], "classes": ["bad", "fair", "good"]}
    result = ingest(tmp_path, lines(GOOD), label=label)
    assert [row[2] for row in rows_of(result)] == [2, 1, 0, 2, 2]
    assert profile_of(result)["classes"] == {"bad": 1, "fair": 1, "good": 3}


def test_ids_are_text_also_where_they_are_numbers(tmp_path: Path) -> None:
    result = ingest(tmp_path, lines([(1, 10, 5, 1.5), ("01", 9, 1, 1.9)]))
    assert rows_of(result) == [("1", "10", 1, 1), ("01", "9", 0, 1)]
