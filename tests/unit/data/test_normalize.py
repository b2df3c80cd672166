"""Types, and the rows that cannot be used."""

from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from components.core.errors import InvalidInputError
from components.core.recipe.source import FilesSource
from components.data.formats.raw import RawBatch, Rejected
from components.data.normalize import END_OF_TIME, Rows, normalize
from components.ingest.files import meaning_of


def normalized(values: dict[str, Any], **source: Any) -> Rows:
    frame = pl.DataFrame(values)
    lines = pl.int_range(2, 2 + len(frame), eager=True)
    batch = RawBatch(frame, lines, lambda rows: [f"row {row}" for row in rows], [Rejected(1, "before", "")])
    return normalize(batch, meaning_of(FilesSource(path="x", **source)), "a.csv")


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        (None, "user_id is empty"),
        ("", "user_id is empty"),
        (" \t", "user_id is empty"),
        ("x" * 9, "user_id is longer than 8 characters"),
        ("a\nb", "user_id holds a line break; is a quote never closed?"),
    ],
)
def test_ids_that_cannot_be_used(user: str | None, reason: str) -> None:
    rows = normalized({"user_id": ["日本語日本語日本", user], "item_id": ["1", "2"]}, max_id_length=8)
    assert rows.frame.rows() == [("日本語日本語日本", "1")]
    assert rows.lines is not None
    assert rows.lines.to_list() == [2]
    assert rows.rejected == [Rejected(1, "before", ""), Rejected(3, reason, "row 1")]


def test_integer_ids() -> None:
    rows = normalized({"user_id": ["7", "-1", "x", "1.5", "", "9" * 30], "item_id": [1] * 6}, ids="integer")
    assert rows.frame["user_id"].to_list() == [7, -1]
    assert [bad.reason for bad in rows.rejected[1:]] == [
        "user_id is not an integer",
        "user_id is not an integer",
        "user_id is empty",
        "user_id is not an integer",
    ]
    assert rows.frame.schema["user_id"] == rows.frame.schema["item_id"] == pl.Int64


def test_integers_become_text_where_ids_are_text() -> None:
    rows = normalized({"user_id": [10, 2], "item_id": pl.Series(["a", "b"], dtype=pl.Categorical)})
    assert rows.frame.select("user_id", "item_id").rows() == [("10", "a"), ("2", "b")]


@pytest.mark.parametrize(
    ("unit", "value", "seconds"),
    [
        ("s", "881250949", 881250949),
        ("s", "964982703.9", 964982703),
        ("ms", 1_700_000_000_999, 1_700_000_000),
        ("us", "1700000000999999", 1_700_000_000),
        ("s", 0, 0),
        ("s", END_OF_TIME - 1, END_OF_TIME - 1),
        ("iso8601", "2020-01-01", 1577836800),
        ("iso8601", "2020-01-01T01:00:00+01:00", 1577836800),
        ("iso8601", "2020-01-01 00:00:00.9Z", 1577836800),
        ("iso8601", datetime(2020, 1, 1), 1577836800),
        ("s", datetime(2020, 1, 1, tzinfo=UTC), 1577836800),
        ("ms", date(2020, 1, 1), 1577836800),
    ],
)
def test_times(unit: str, value: Any, seconds: int) -> None:
    rows = normalized({"user_id": ["a"], "item_id": ["b"], "timestamp": [value]}, timestamp_unit=unit)
    assert rows.frame["timestamp"].to_list() == [seconds]


@pytest.mark.parametrize(
    ("unit", "value", "reason"),
    [
        ("s", "yesterday", "is not a number"),
        ("s", "", "is not a number"),
        ("s", "nan", "is not a number"),
        ("s", "-1", "is before 1970"),
        ("s", str(END_OF_TIME), "is in the far future"),
        ("s", "1700000000000", "is in the far future"),
        ("s", "1e300", "is in the far future"),
        ("iso8601", "12/31/2020", "is not a time in ISO 8601"),
        ("iso8601", None, "is not a time in ISO 8601"),
        ("iso8601", "1969-12-31", "is before 1970"),
        ("s", datetime(2400, 1, 1), "is in the far future"),
    ],
)
def test_times_that_cannot_be_used(unit: str, value: Any, reason: str) -> None:
    kind = pl.Datetime("ms") if isinstance(value, datetime) else pl.String
    columns = {"user_id": ["a"], "item_id": ["b"], "timestamp": pl.Series([value], dtype=kind)}
    rows = normalized(columns, timestamp_unit=unit)
    assert rows.frame.is_empty()
    assert rows.rejected[1].reason.startswith(f"timestamp {reason}")


def test_ratings_and_features() -> None:
    columns = {
        "user_id": list("abcde"),
        "item_id": list("vwxyz"),
        "rating": ["3.5", "-1e2", "good", "inf", None],
        "shop": [1, None, 3, 4, 5],
    }
    rows = normalized(columns, columns={"features": {"shop": "shop"}})
    assert rows.frame.select("rating", "shop").rows() == [(3.5, "1"), (-100.0, None)]
    assert {bad.reason for bad in rows.rejected[1:]} == {"rating is not a number"}


def test_columns_of_wrong_types_are_all_told() -> None:
    columns = {"user_id": [1.5], "item_id": [True], "rating": [[1]], "timestamp": ["x"], "tags": [["a"]]}
    with pytest.raises(InvalidInputError) as error:
        normalized(columns)
    told = str(error.value).splitlines()
    assert [line.split(":")[1].strip() for line in told] == ["user_id", "item_id", "rating", "tags"]
    assert told[0] == "a.csv: user_id: got a column of type Float64, need text or integers"
    with pytest.raises(InvalidInputError, match="`timestamp_unit` is iso8601"):
        normalized({"user_id": ["a"], "item_id": ["b"], "timestamp": [1]}, timestamp_unit="iso8601")
