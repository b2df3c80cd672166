"""Labelled examples through the ingest stage."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.core.errors import GateFailedError, InvalidInputError
from components.core.manifest import MANIFEST
from components.core.recipe.examples import ExamplesSource, Label
from components.ingest.examples import read
from tests.unit.ingest.taking_in import FIELDS, ingest, profile_of, rejected_of, rows_of, written

HEADER = "label,site,price,genres\n"


def test_rows_stand_as_they_were_read_and_missing_values_are_null(tmp_path: Path) -> None:
    text = HEADER + "1,a,2.5,x|y\n0,,-1,\n1,NA,NA,NA|z\n0,a, ,|\n1,a,2.5,x|y\n"
    path = written(tmp_path / "a.csv", text.replace("0,a, ,|", "0, a,3,x||x"))
    result = ingest(tmp_path, path=path, missing=["", "NA", "-1.0"])
    assert rows_of(result) == [
        (1, "a", 2.5, ["x", "y"]),
        (0, None, None, None),
        (1, None, None, ["z"]),
        (0, " a", 3.0, ["x", "x"]),
        (1, "a", 2.5, ["x", "y"]),
    ]
    assert result.metrics == {"rows": 5, "rejected_rows": 0, "examples": 5, "duplicates": 1}
    assert profile_of(result) == {
        "rows": 5,
        "rows_by_file": {"a.csv": 5},
        "rejected_rows": 0,
        "rejected_by_reason": {},
        "examples": 5,
        "duplicates": 1,
        "classes": {"0": 2, "1": 3},
        "fields": {
            "site": {"kind": "categorical", "nulls": 2, "distinct": 2},
            "price": {
                "kind": "numeric", "nulls": 2, "distinct": 2, "min": 2.5, "max": 3.0,
                "mean": pytest.approx(8 / 3),
            },
            "genres": {"kind": "multi_valued", "nulls": 1, "distinct": 3},
        },
        "tables": {},
        "parts": None,
        "time_range": None,
    }  # fmt: skip


def test_rows_that_cannot_be_used_are_set_aside_with_file_line_and_reason(tmp_path: Path) -> None:
    good = "0,a,1,x\n1,b,2,y\n" * 4
    bad = ["7,a,1,x", ",a,1,x", "1,a,cheap,x", "1,a,inf,x", "1,abcdefghi,1,x", "1,a,1,x|abcdefghi", "1,a"]
    path = written(tmp_path / "a.csv", HEADER + good + "\n".join(bad) + "\n")
    result = ingest(tmp_path, path=path, max_value_length=8)
    assert rejected_of(result) == [
        ("a.csv", 10, "label 7 is none of 0, 1"),
        ("a.csv", 11, "label is empty"),
        ("a.csv", 12, "price is not a number"),
        ("a.csv", 13, "price is not a number"),
        ("a.csv", 14, "site is longer than 8 characters"),
        ("a.csv", 15, "genres is longer than 8 characters"),
        ("a.csv", 16, "has not 4 fields"),
    ]
    profile = profile_of(result)
    assert (profile["rows"], profile["rejected_rows"], profile["examples"]) == (15, 7, 8)
    assert profile["rejected_by_reason"]["price is not a number"] == 2
    told = r"7 of 15 rows \(46\.67%\) cannot be used.*\n.*2 × price is not a number, as in a\.csv:12: '1,a,ch"
    with pytest.raises(GateFailedError, match=told):
        ingest(tmp_path, path=path, max_value_length=8, max_rejected_fraction=0.4)


@pytest.mark.parametrize(
    ("label", "values", "places"),
    [
        ({}, ["0", "1", "1.0", "01", "1e0"], [0, 1, 1, 1, 1]),
        ({}, [0.0, 1.0], [0, 1]),
        ({}, [True, 1, 0], "label true is none of 0, 1"),
        ({"classes": ["false", "true"]}, [True, False], [1, 0]),
        ({"classes": ["no", "yes", "1.0", "1"]}, ["yes", "1", "1.0", "1.00", "no"], [1, 3, 2, 2, 0]),
        ({"thresholds": [4]}, ["3.9", "4", 5, -1], [0, 1, 1, 0]),
        (
            {"thresholds": [1.5, 2.5], "classes": ["bad", "fair", "good"], "range": {"min": 0.5, "max": 5}},
            ["0.5", 1.5, "2", 5],
            [0, 1, 1, 2],
        ),
        ({"thresholds": [4]}, ["5", "good", "0"], "label is not a number"),
        ({"thresholds": [4]}, ["5", "nan", "0"], "label is not a number"),
        ({"thresholds": [4]}, ["5", None, "0"], "label is empty"),
        ({"thresholds": [4], "range": {"max": 5}}, ["5", "5.5", "0"], "label 5.5 lies above 5"),
        ({"thresholds": [4], "range": {"min": 1}}, ["5", "-2", "1"], "label -2.0 lies below 1"),
        ({"classes": list("abcdefghijkl")}, ["a", "x" * 99, "b"],
         f"label {'x' * 40} is none of a, b, c, d, e, f, g, h, i, j …"),
    ],
)  # fmt: skip
def test_labels_become_classes(label: dict[str, Any], values: list, places: Any, tmp_path: Path) -> None:
    lines = "".join(json.dumps({"label": value, "site": "a"}) + "\n" for value in values)
    path = written(tmp_path / "a.jsonl", lines)
    fields = {"categorical": {"site": "site"}}
    result = ingest(tmp_path, path=path, label=label, fields=fields, format={"kind": "jsonl"})
    if isinstance(places, str):
        assert [reason for _, _, reason in rejected_of(result)] == [places]
    else:
        assert [row[0] for row in rows_of(result)] == places


ROWS = [
    {"label": 1, "site": "a", "price": 2.5, "genres": ["x", "y"], "when": 86_400},
    {"label": 0, "site": None, "price": None, "genres": None, "when": 5},
    {"label": 1, "site": "7", "price": 3.0, "genres": ["y"], "when": 6},
    {"label": 0, "site": "b", "price": -0.5, "genres": ["x", "z"], "when": 7},
]
DELIMITED = "".join(
    f"{row['label']},{row['site'] or ''},{'' if row['price'] is None else row['price']},"
    f"{'|'.join(row['genres'] or [])},{row['when']}\n"
    for row in ROWS
)


def as_lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def layouts(folder: Path) -> list[dict[str, Any]]:
    """The same examples in every format, with values of many types."""
    frame = pl.DataFrame(ROWS)
    joined = pl.col("genres").list.join("|")
    frame.write_parquet(folder / "lists.parquet")
    frame.with_columns(joined, pl.col("price").cast(pl.String)).write_parquet(folder / "texts.parquet")
    typed = [pl.col("label").cast(pl.Float32), pl.col("site").cast(pl.Categorical)]
    frame.with_columns(*typed, pl.from_epoch("when")).write_parquet(folder / "typed.parquet")
    mixed = [{**row, "site": 7 if row["site"] == "7" else row["site"]} for row in ROWS]
    mixed[0]["genres"], mixed[3]["genres"], mixed[2]["genres"] = "x|y", ["x", None, "z"], "y"
    mixed[3]["site"], mixed[3]["price"] = "b", "-0.5"
    jsonl, parquet = {"format": {"kind": "jsonl"}}, {"format": {"kind": "parquet"}}
    positions: dict[str, Any] = {
        "label": {"column": 0},
        "fields": {
            "categorical": {"site": 1},
            "numeric": {"price": 2},
            "multi_valued": {"genres": {"column": 3}},
        },
        "timestamp": 4,
    }
    return [
        {"path": written(folder / "a.csv", "label,site,price,genres,when\n" + DELIMITED)},
        {
            "path": written(folder / "a.txt", DELIMITED.replace(",", "\t")),
            "format": {"kind": "delimited", "delimiter": "\t", "header": False},
            **positions,
        },
        {"path": written(folder / "a.jsonl", as_lines(ROWS)), **jsonl},
        {"path": written(folder / "reversed.jsonl", as_lines(mixed)), **jsonl},
        {"path": str(folder / "lists.parquet"), **parquet},
        {"path": str(folder / "texts.parquet"), **parquet},
        {"path": str(folder / "typed.parquet"), **parquet},
    ]


def test_the_format_does_not_matter(tmp_path: Path) -> None:
    results = [ingest(tmp_path, **{"timestamp": "when", **source}) for source in layouts(tmp_path)]
    assert rows_of(results[0])[0] == (1, "a", 2.5, ["x", "y"], 86_400)
    contents = {(Path(result.uri) / "interactions.parquet").read_bytes() for result in results}
    assert len(contents) == 1
    assert profile_of(results[0])["time_range"]["last"] == "1970-01-02T00:00:00+00:00"


TEXT = st.text(alphabet="a1.|", max_size=3)
SINGLE = st.none() | TEXT | st.integers(-3, 10**6) | st.floats(-3, 1e20) | st.booleans()
JSON_ROW = st.fixed_dictionaries(
    {"label": st.sampled_from([0, 1])},
    optional={
        "site": SINGLE,
        "price": SINGLE,
        "genres": SINGLE | st.lists(SINGLE, max_size=3) | st.lists(TEXT, max_size=3),
    },
)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=50, deadline=None)
@given(rows=st.lists(JSON_ROW, min_size=1, max_size=12), size=st.integers(10, 300))
def test_uniform_and_mixed_blocks_of_json_read_alike(rows: list[dict], size: int, tmp_path_factory) -> None:
    """Whether Arrow or Python parses a block does not show, nor where it ends."""
    for name in ("site", "price", "genres"):
        rows[0].setdefault(name, "1")
    folder = tmp_path_factory.mktemp("json")
    written(folder / "a.jsonl", as_lines(rows))
    source = ExamplesSource(path="x", fields=FIELDS, format={"kind": "jsonl"}, missing=["", "1"])

    def found() -> list[tuple]:
        batches = list(read(source, {"source": folder}, 1))
        kept = [row for batch in batches for row in batch.rows.frame.iter_rows()]
        return kept + [tuple(row) for batch in batches for row in batch.rows.rejected]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("components.data.formats.lines.BATCH_BYTES", size)
        mixed = found()
        patch.setattr("components.data.formats.jsonlines._uniform", lambda *_: None)
        assert mixed == found()
        patch.setattr("components.data.formats.lines.BATCH_BYTES", 1 << 20)
        assert sorted(map(repr, mixed)) == sorted(map(repr, found()))


def test_json_values_that_a_field_does_not_hold_are_rejected(tmp_path: Path) -> None:
    rows = [
        {**ROWS[0], "site": ["a"]},
        {**ROWS[0], "genres": {"x": 1}},
        {**ROWS[0], "genres": [["x"]]},
        {**ROWS[0], "price": True},
        {**ROWS[0], "price": [1]},
    ]
    path = written(tmp_path / "a.jsonl", as_lines([*ROWS, *rows]))
    result = ingest(tmp_path, path=path, format={"kind": "jsonl"}, max_rejected_fraction=0.6)
    assert [reason for _, _, reason in rejected_of(result)] == [
        "site holds what is nested",
        "genres holds what is nested",
        "genres holds what is nested",
        "price is not a number",
        "price is not a number",
    ]


def test_columns_of_wrong_types_are_all_told(tmp_path: Path) -> None:
    frame = pl.DataFrame({"label": [0], "site": [["a"]], "price": [["a"]], "genres": [{"a": 1}]})
    frame.write_parquet(tmp_path / "a.parquet")
    with pytest.raises(InvalidInputError) as error:
        ingest(tmp_path, path=str(tmp_path / "a.parquet"), format={"kind": "parquet"})
    told = str(error.value).splitlines()
    assert [line.split(":")[1].strip() for line in told] == ["site", "price", "genres"]
    assert told[0].endswith("need text, numbers or times")


def test_a_file_of_several_may_lack_all_values_of_a_field(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    pl.DataFrame(ROWS).write_parquet(folder / "a.parquet")
    nothing = pl.DataFrame({"label": [1], "site": [None], "price": [None], "genres": [None]})
    nothing.write_parquet(folder / "b.parquet")
    result = ingest(tmp_path, path=str(folder), format={"kind": "parquet"})
    assert rows_of(result)[-1] == (1, None, None, None)


def test_parts_and_times(tmp_path: Path) -> None:
    train = "label,site,when\n0,a,2020-01-01\n1,b,never\n1,b,2020-01-02\n"
    parts = {
        "train": written(tmp_path / "train" / "x.csv", train),
        "test": written(tmp_path / "test" / "x.csv", "label,site,when\n1,a,2020-02-01\n"),
    }
    result = ingest(
        tmp_path,
        parts=parts,
        fields={"categorical": {"site": "site"}},
        timestamp="when",
        timestamp_unit="iso8601",
    )
    assert rows_of(result) == [
        (0, "a", 1577836800, "train"),
        (1, "b", 1577923200, "train"),
        (1, "a", 1580515200, "test"),
    ]
    assert rejected_of(result) == [("train/00000/x.csv", 3, "timestamp is not a time in ISO 8601")]
    assert profile_of(result)["parts"] == {"train": 2, "test": 1}


# -- what cannot be learned from -----------------------------------------------------------------------------


def test_examples_of_one_class_are_an_error(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", HEADER + "1,a,1,x\n" * 3)
    told = "source.label: all 3 examples are of class 1, and none is of 0; need at least two classes"
    with pytest.raises(InvalidInputError, match=told):
        ingest(tmp_path, path=path)
    assert not list(tmp_path.rglob(MANIFEST))


def test_fields_without_any_value_are_an_error(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", HEADER + "1,a,,|\n0,b,,\n")
    with pytest.raises(InvalidInputError, match=r"source\.fields: genres, price: got no value in any of 2"):
        ingest(tmp_path, path=path)


def test_nothing_usable_is_an_error_even_where_all_may_be_rejected(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", HEADER + "2,a,1,x\n")
    with pytest.raises(InvalidInputError, match=r"no usable rows in a\.csv"):
        ingest(tmp_path, path=path, max_rejected_fraction=1.0)
    with pytest.raises(InvalidInputError, match=r"no rows in b\.csv"):
        ingest(tmp_path, path=written(tmp_path / "b.csv", HEADER))


def test_fields_may_have_the_names_of_other_tables_columns(tmp_path: Path) -> None:
    names = ("line", "file", "reason", "count", "user_id", "value", "index", "key", "usable")
    text = "label," + ",".join(names) + "\n" + "1" + ",a" * len(names) + "\n0" + ",b" * len(names) + "\n2,x\n"
    result = ingest(
        tmp_path,
        path=written(tmp_path / "a.csv", text),
        fields={"categorical": {name: name for name in names}},
    )
    assert rows_of(result) == [(1, *"a" * len(names)), (0, *"b" * len(names))]


def test_a_class_may_be_the_empty_text() -> None:
    assert Label(classes=("", "x")).classes == ("", "x")


def test_nan_in_a_column_of_numbers_is_missing(tmp_path: Path) -> None:
    """As tables from pandas have it, in numeric and in categorical fields."""
    folder = tmp_path / "in"
    folder.mkdir()
    table = pa.table(
        {
            "label": [1, 0, 1],
            "site": [5.0, float("nan"), 5.5],
            "price": [float("nan"), 1e308, 1.7e308],
            "genres": ["x", "y", "x"],
        }
    )
    pq.write_table(table, folder / "a.parquet")
    result = ingest(tmp_path, path=str(folder), format={"kind": "parquet"})
    assert [row[1:3] for row in rows_of(result)] == [("5", None), (None, 1e308), ("5.5", 1.7e308)]
    assert profile_of(result)["fields"]["price"]["mean"] == pytest.approx(1.35e308)
