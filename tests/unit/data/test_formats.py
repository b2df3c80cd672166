"""Readers of raw files: values, lines, and what is wrong with a file."""

import csv
import gzip
import io
import json
import re
import tracemalloc
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from components.core.errors import InvalidInputError
from components.core.recipe.source import (
    AdjacencyFormat,
    Columns,
    DelimitedFormat,
    JsonLinesFormat,
    ParquetFormat,
)
from components.data.formats import delimited, jsonlines, raw
from components.data.formats.raw import RawBatch, Rejected
from components.ingest.files import wanted

DEFAULT, POSITIONS = Columns(), Columns(user=0, item=1)


def read(
    kind, path: Path, columns: Columns = DEFAULT, *, ordered: bool = False
) -> tuple[list[tuple], list[Rejected]]:
    """Every row with its line, and every rejected one."""
    rows: list[tuple] = []
    rejected: list[Rejected] = []
    for batch in type(kind).load()(kind, path, path.name, wanted(columns, ordered=ordered)):
        rows += [(line, *row) for line, row in zip(batch.lines, batch.frame.iter_rows(), strict=True)]
        rejected += batch.rejected
    return rows, rejected


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_byte_order_mark_quotes_and_unicode(tmp_path: Path) -> None:
    text = '\ufeffuser_id,item_id,title\r\nä,"a, ""b""",x\r\n\r\nü,日本,"two\nlines"\r\nz,last,y'
    rows, rejected = read(DelimitedFormat(), written(tmp_path, "a.csv", text))
    assert rows == [(2, "ä", 'a, "b"'), (4, "ü", "日本"), (6, "z", "last")]
    assert rejected == []


def test_rows_with_another_number_of_fields_are_told_with_their_lines(tmp_path: Path) -> None:
    text = 'user_id\titem_id\na\tb\nonly one\n"c\nc"\td\tmore\ne\tf\nend'
    rows, rejected = read(DelimitedFormat(delimiter="\t"), written(tmp_path, "a.tsv", text))
    assert rows == [(2, "a", "b"), (6, "e", "f")]
    assert [(bad.line, bad.content) for bad in rejected] == [
        (3, "only one"),
        (4, '"c'),
        (5, 'c"\td\tmore'),
        (7, "end"),
    ]


@pytest.mark.parametrize("start", ["\n", "\r\n\n", "\ufeff\n"])
def test_empty_lines_before_the_header_are_passed_over(start: str, tmp_path: Path) -> None:
    text = start + "user_id,item_id\n\na,b\nc\n"
    line = start.count("\n") + 3
    rows, rejected = read(DelimitedFormat(), written(tmp_path, "a.csv", text))
    assert rows == [(line, "a", "b")]
    assert rejected == [Rejected(line + 1, "has not 2 fields", "c")]
    packed = written(tmp_path, "a.csv.gz", gzip.compress(f"{start}a,b\n".encode()))
    assert read(DelimitedFormat(header=False), packed, POSITIONS) == ([(line - 2, "a", "b")], [])


@pytest.mark.parametrize("text", ["", "\n", "\r\n\n\n", "\ufeff", "\ufeff\n"])
@pytest.mark.parametrize("header", [False, True])
def test_a_file_of_empty_lines_is_empty(text: str, header: bool, tmp_path: Path) -> None:
    assert read(DelimitedFormat(header=header), written(tmp_path, "a.csv", text)) == ([], [])


def test_only_a_line_of_no_characters_is_no_row(tmp_path: Path) -> None:
    text = 'user_id,item_id,title\na,"b\n\nb",c\n\n,,\n  \n"","",""\r\n\r\n,\nd,"\r",f\n,,\n\n'
    for path in (
        written(tmp_path, "a.csv", text),
        written(tmp_path, "a.csv.gz", gzip.compress(text.encode())),
    ):
        rows, rejected = read(DelimitedFormat(), path, Columns(features={"title": "title"}))
        assert rows == [
            (2, "a", "b\n\nb", "c"), (6, "", "", ""), (8, "", "", ""), (11, "d", "\r", "f"), (13, "", "", ""),
        ]  # fmt: skip
        assert [(bad.line, bad.content) for bad in rejected] == [(7, "  "), (10, ",")]
    tabs = written(tmp_path, "a.tsv", "user_id\titem_id\n\t\n\t\t\n\n")
    rows, rejected = read(DelimitedFormat(delimiter="\t"), tabs)
    assert rows == [(2, "", "")]
    assert [(bad.line, bad.content) for bad in rejected] == [(3, "\t\t")]


def test_a_line_break_in_the_header_is_no_row(tmp_path: Path) -> None:
    text = 'user_id,"item\r\nid","a\nb"\nu,i,x\nu\n'
    rows, rejected = read(
        DelimitedFormat(),
        written(tmp_path, "a.csv", text),
        Columns(item="item\r\nid", features={"x": "a\nb"}),
    )
    assert rows == [(4, "u", "i", "x")]
    assert rejected == [Rejected(5, "has not 3 fields", "u")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\nuser_id,item_id\ra,b\rc,d\r", "new-line character"),
        ("\nuser_id,item_id," + "x" * 200_000 + "\na,b,c\n", "field larger than field limit"),
    ],
)
@pytest.mark.parametrize("header", [False, True])
def test_a_first_row_that_cannot_be_parsed_is_told(
    text: str, told: str, header: bool, tmp_path: Path
) -> None:
    path = written(tmp_path, "a.csv", text)
    with pytest.raises(InvalidInputError, match=told) as error:
        read(DelimitedFormat(header=header), path, POSITIONS)
    assert str(error.value).startswith("a.csv:2: ")
    assert "need lines that end in \\n or \\r\\n" in str(error.value)
    assert "131,072 characters" in str(error.value)


def test_a_quote_that_is_never_closed_hides_no_rows(tmp_path: Path) -> None:
    rows = [f"u{n},i{n},t" for n in range(300)]
    rows[50] = 'u50,i50,"t'
    path = written(tmp_path, "a.csv", "user_id,item_id,title\n" + "\n".join(rows) + "\n")
    good, rejected = read(DelimitedFormat(), path)
    assert [line for line, *_ in good] == list(range(2, 52))
    assert [bad.line for bad in rejected] == list(range(52, 302))
    assert "quote" in rejected[0].reason


FIELD = st.text(alphabet='ab,"\n\r é', max_size=4)


@given(
    rows=st.lists(st.lists(FIELD, min_size=1, max_size=4), min_size=1, max_size=40),
    block=st.integers(20, 200),
)
def test_lines_and_values_are_those_of_the_standard_library(
    rows: list[list[str]], block: int, tmp_path_factory
) -> None:
    """Against csv.reader, with blocks so small that rows of one file meet in several."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    path = written(tmp_path_factory.mktemp("csv"), "a.csv", "a,b\n" + buffer.getvalue())
    good, bad, line = [], [], 2
    for row in rows:
        height = 1 + sum(len(re.findall("\r\n|\r|\n", field)) for field in row)
        if len(row) == 2:
            good.append((line, *row))
        else:
            bad += range(line, line + height)
        line += height
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "BATCH_BYTES", max(block, 100))
        found, rejected = read(DelimitedFormat(), path, POSITIONS)
    assert found == good
    assert [entry.line for entry in rejected] == bad


def test_columns_by_position_without_a_header(tmp_path: Path) -> None:
    rows, _ = read(
        DelimitedFormat(header=False), written(tmp_path, "a.csv", "1,x,5\n2,y,6\n"), Columns(user=2, item=0)
    )
    assert rows == [(1, "5", "1"), (2, "6", "2")]


@pytest.mark.parametrize(
    ("columns", "header", "told"),
    [
        (
            Columns(user="uid", item="sid"),
            True,
            ["user_id: got 'uid', no such", "item_id: got 'sid'", "'a', 'b'"],
        ),
        (Columns(user="b", item="a"), False, ["user_id: got 'b', need a position", "item_id: got 'a'"]),
        (Columns(user=0, item=3), True, ["item_id: got position 3, need 0 to 1"]),
    ],
)
def test_all_missing_columns_are_told_at_once(
    columns: Columns, header: bool, told: list[str], tmp_path: Path
) -> None:
    with pytest.raises(InvalidInputError) as error:
        read(DelimitedFormat(header=header), written(tmp_path, "a.csv", "a,b\n1,2\n"), columns)
    assert all(text in str(error.value) for text in told)


def test_a_column_that_is_there_twice_is_ambiguous(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="more than one such column"):
        read(DelimitedFormat(), written(tmp_path, "a.csv", "user_id,item_id,user_id\n1,2,3\n"))


@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv"])
def test_gzip_is_known_by_its_content(name: str, tmp_path: Path) -> None:
    packed = gzip.compress(b"user_id,item_id\n") + gzip.compress(b"a,b\n")  # two members, as `cat` makes
    rows, _ = read(DelimitedFormat(), written(tmp_path, name, packed))
    assert rows == [(2, "a", "b")]


TRUNCATED = gzip.compress(b"user_id,item_id\n" + b"a,b\nc,d\n" * 100_000)[:-50]
DAMAGED = bytearray(gzip.compress(b"user_id,item_id\n" + b"".join(b"a,%d\n" % n for n in range(9999))))
DAMAGED[5000:5020] = b"\xff" * 20


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv.gz", TRUNCATED, "truncated"),
        ("a.csv.gz", bytes(DAMAGED), "damaged"),
        ("a.csv.gz", b"user_id,item_id\na,b\n", "named .gz, but holds no gzip"),
        ("a.csv", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "binary"),
        ("a.csv", b"PAR1\x15\x04", "kind: parquet"),
        ("a.csv", "user_id,item_id\nJosé,b\n".encode("latin-1"), "not UTF-8"),
        ("a.csv", "ÿuser_id,item_id\n".encode("latin-1"), "not UTF-8"),
    ],
)
@pytest.mark.parametrize("kind", [DelimitedFormat(), JsonLinesFormat(), AdjacencyFormat()])
def test_a_file_that_is_no_text_is_told_by_name(kind, name: str, content: bytes, told: str, tmp_path) -> None:
    with pytest.raises(InvalidInputError, match=told) as error:
        read(kind, written(tmp_path, name, content))
    assert str(error.value).startswith(f"{name}: ")


def test_a_row_that_fills_a_block_asks_for_a_quote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "BATCH_BYTES", 1000)
    text = "user_id,item_id\n" + "a,b\n" * 10 + '"a,b\n' + "c,d\n" * 2000
    with pytest.raises(InvalidInputError, match="quote never closed"):
        read(DelimitedFormat(), written(tmp_path, "a.csv", text))


JSON_LINES = [
    '{"user_id": "a", "item_id": "x", "extra": [1]}',
    "",
    '{"user_id": "b", "item_id": 7}',
    '{"user_id": 5.5, "item_id": "x"}',
    '{"user_id": "c", "item_id": "\\ud800"}',
    "[1, 2]",
    "{not json",
    '{"item_id": "y"}',
]


def test_json_lines_of_every_kind(tmp_path: Path) -> None:
    rows, rejected = read(JsonLinesFormat(), written(tmp_path, "a.jsonl", "\n".join(JSON_LINES)))
    assert rows == [(1, "a", "x"), (3, "b", "7"), (8, None, "y")]
    assert [(bad.line, bad.reason) for bad in rejected] == [
        (4, "user_id is neither text nor an integer"),
        (5, "is not JSON"),
        (6, "is not a JSON object"),
        (7, "is not JSON"),
    ]
    assert [bad.content for bad in rejected] == [JSON_LINES[line] for line in (3, 4, 5, 6)]


JSON_VALUE = st.one_of(
    st.none(), st.integers(-9, 10**6), st.floats(0, 1e6), st.text(max_size=3), st.booleans()
)


@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {"user_id": st.sampled_from(["a", "b", 3]), "item_id": st.sampled_from([1, 2])},
            optional={"rating": JSON_VALUE},
        ),
        min_size=1,
        max_size=12,
    ),
    size=st.integers(10, 300),
)
@example(rows=[{"user_id": "a", "item_id": 1, "rating": "NAN"}], size=10)
def test_uniform_and_mixed_blocks_read_alike(rows: list[dict], size: int, tmp_path_factory) -> None:
    """Whether Arrow or Python parses a block shows only in types that mean the same."""
    rows[0].setdefault("rating", 1)
    path = written(
        tmp_path_factory.mktemp("json"), "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows)
    )
    columns = wanted(Columns(rating="rating"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("components.data.formats.lines.BATCH_BYTES", size)
        mixed = _as_text(jsonlines.read(JsonLinesFormat(), path, "a", columns))
        patch.setattr(jsonlines, "_uniform", lambda *_: None)
        slow = _as_text(jsonlines.read(JsonLinesFormat(), path, "a", columns))
    assert repr(mixed) == repr(slow)  # NaN is not equal to itself


def _as_text(batches) -> list[tuple]:
    """Rows with ids as text and numbers as float64, null where they are none."""
    ids, number = (
        pl.col("user_id", "item_id").cast(pl.String),
        pl.col("rating").cast(pl.Float64, strict=False),
    )
    return [
        (line, *row)
        for batch in batches
        for line, row in zip(batch.lines, batch.frame.select(ids, number).iter_rows(), strict=True)
    ]


def test_json_keys_that_no_row_has(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", '{"uid": 1, "item_id": 2}\n' * 3)
    with pytest.raises(InvalidInputError, match="no row has 'user_id'; the keys are 'item_id', 'uid'"):
        read(JsonLinesFormat(), path)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("format_", [JsonLinesFormat(), AdjacencyFormat()], ids=lambda one: one.kind)
def test_a_line_without_end_is_refused_before_it_is_in_memory(format_, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.txt{suffix}"
    with gzip.open(path, "wb") if suffix else path.open("wb") as file:
        file.write(b'{"user_id": 1, "item_id": 2}\n' * 2)
        for _ in range(80):
            file.write(b"x" * (1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInputError, match=r"a\.txt.*:3: the line is longer than 16 MiB"):
            read(format_, path)
        assert tracemalloc.get_traced_memory()[1] < 70 << 20  # two blocks of bytes, and their sum
    finally:
        tracemalloc.stop()


def test_adjacency_lists(tmp_path: Path) -> None:
    path = written(tmp_path, "a.txt", "u1 i1\ti2  i3\n\nlonely\nu2 i1 \r\n")
    rows, _ = read(AdjacencyFormat(), path)
    assert rows == [(1, "u1", "i1"), (1, "u1", "i2"), (1, "u1", "i3"), (4, "u2", "i1")]
    with pytest.raises(InvalidInputError, match="adjacency lists hold no rating, timestamp"):
        read(AdjacencyFormat(), path, Columns(rating="r", timestamp="t"))


def test_ordered_lists_number_their_rows_over_all_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.data.formats.lines.BATCH_BYTES", 20)
    path = written(tmp_path, "a.txt", "".join(f"u{n} b a c\n" for n in range(40)))
    rows, _ = read(AdjacencyFormat(ordered=True), path, ordered=True)
    assert [row[2] for row in rows] == ["b", "a", "c"] * 40
    assert [row[3] for row in rows] == list(range(120))


def test_a_row_that_is_not_utf8_and_has_too_few_fields(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, "a.csv", b"user_id,item_id\na,b\n\xff only\nc,d\n")
    with pytest.raises(InvalidInputError, match=r"a\.csv: is not UTF-8 text"):
        read(DelimitedFormat(), path)
    assert capfd.readouterr().err == ""


def test_text_in_parquet_that_is_not_utf8(tmp_path: Path) -> None:
    text = pa.array([b"ok", b"\xff\xfe"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"user_id": text, "item_id": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(
        InvalidInputError, match=r"a\.parquet: is truncated, damaged or no Parquet file .*UTF8"
    ):
        read(ParquetFormat(), tmp_path / "a.parquet")


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"item_id": [1, 2], "other": [0, 0], "user_id": ["a", None]}).write_parquet(path)
    rows, _ = read(ParquetFormat(), path)
    assert rows == [(1, "a", 1), (2, None, 2)]
    (batch,) = list(parquet_batches(path))
    assert batch.content([1]) == ["user_id=None, item_id=2"]
    written(tmp_path, "cut.parquet", path.read_bytes()[:-30])
    with pytest.raises(InvalidInputError, match=r"cut\.parquet: is truncated"):
        read(ParquetFormat(), tmp_path / "cut.parquet")
    written(tmp_path, "text.parquet", "user_id,item_id\n" * 9)
    with pytest.raises(InvalidInputError, match="no Parquet file"):
        read(ParquetFormat(), tmp_path / "text.parquet")


def parquet_batches(path: Path) -> list[RawBatch]:
    return list(ParquetFormat.load()(ParquetFormat(), path, path.name, wanted(Columns())))


def test_a_rejected_row_over_lines_is_told_line_by_line() -> None:
    assert raw.split_lines(7, "why", "a\nb\n") == [Rejected(7, "why", "a"), Rejected(8, "why", "b")]
