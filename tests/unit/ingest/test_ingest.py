"""The ingest stage through its harness."""

import gzip
import itertools
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
import polars as pl
import pytest
from moto.server import ThreadedMotoServer

from components.catalog import INGEST
from components.core.errors import GateFailedError, InvalidInputError
from components.core.manifest import MANIFEST, read_manifest
from components.core.recipe import IngestParams
from components.core.recipe.source import FilesSource
from components.core.stage import StageResult, execute
from components.data.document import read_document
from components.data.parquet import read_table

NUMBERS = itertools.count()


def ingest(root: Path, *, seed: int = 1, max_rejected_fraction: float = 0.01, **source: Any) -> StageResult:
    files = FilesSource(**source)
    params = IngestParams(source=files, max_rejected_fraction=max_rejected_fraction, seed=seed)
    return execute(INGEST, params, files.locations(), str(root / f"interactions-{next(NUMBERS)}"))


def rows_of(result: StageResult) -> list[tuple]:
    table = read_table(Path(result.uri) / "interactions.parquet")
    return [tuple(row.values()) for row in table.to_pylist()]


def written(path: Path, content: str | bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def test_duplicates_give_way_to_the_latest(tmp_path: Path) -> None:
    text = (
        "user_id,item_id,stars,when,shop\nb,x,1,5,p\na,y,2,5,p\nb,x,4,9,q\nb,x,5,9,\na,y,2,5,p\nb,ä,3,1,p\n"
    )
    columns = {"rating": "stars", "timestamp": "when", "features": {"shop": "shop"}}
    result = ingest(tmp_path, path=written(tmp_path / "a.csv", text), columns=columns)
    assert rows_of(result) == [("a", "y", 2.0, 5, "p"), ("b", "x", 5.0, 9, ""), ("b", "ä", 3.0, 1, "p")]
    profile = read_document(Path(result.uri) / "profile.json")
    assert profile["duplicates_dropped"] == 3
    assert profile["interactions_per_user"] == {
        "min": 1, "q25": 1, "median": 1, "q75": 2, "q90": 2, "q99": 2, "max": 2, "mean": 1.5,
    }  # fmt: skip
    assert profile["popularity_histogram"] == [{"from": 1, "to": 1, "items": 3}]
    assert profile["density"] == 0.5
    assert profile["time_range"] == {
        "first": "1970-01-01T00:00:01+00:00",
        "last": "1970-01-01T00:00:09+00:00",
    }
    assert result.metrics["interactions"] == 3


PAIRS = sorted({(f"u{n % 17}", f"i{n * n % 23}", n % 5 + 1, n % 29) for n in range(500)})


def as_csv(rows: Sequence[tuple]) -> str:
    return "user_id,item_id,rating,timestamp\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)


def layouts(folder: Path) -> list[dict[str, Any]]:
    """The same rows as one file, as shuffled files, and in every other format."""
    shuffled = random.Random(1).sample(PAIRS, len(PAIRS))
    frame = pl.DataFrame(shuffled, schema=["user_id", "item_id", "rating", "timestamp"], orient="row")
    names = {"rating": "rating", "timestamp": "timestamp"}
    for number, start in enumerate(range(0, len(shuffled), 100)):
        content = as_csv(shuffled[start : start + 100]).encode()
        written(folder / "many" / f"part-{number}" / "a.csv.gz", gzip.compress(content))
    lines = "".join(json.dumps(row) + "\n" for row in frame.iter_rows(named=True))
    frame.write_parquet(folder / "a.parquet")
    tabs = as_csv(PAIRS).partition("\n")[2].replace(",", "\t")
    return [
        {"path": written(folder / "one.csv", as_csv(PAIRS)), "columns": names},
        {"path": written(folder / "reversed.csv", as_csv(PAIRS[::-1])), "columns": names},
        {"path": str(folder / "many"), "columns": names},
        {"path": str(folder / "many" / "*" / "*.csv.gz"), "columns": names},
        {"path": written(folder / "a.jsonl", lines), "columns": names, "format": {"kind": "jsonl"}},
        {"path": str(folder / "a.parquet"), "columns": names, "format": {"kind": "parquet"}},
        {
            "path": written(folder / "a.tsv", tabs),
            "columns": {"user": 0, "item": 1, "rating": 2, "timestamp": 3},
            "format": {"kind": "delimited", "delimiter": "\t", "header": False},
        },
    ]


def test_neither_the_order_of_rows_nor_their_files_or_format_matter(tmp_path: Path) -> None:
    results = [ingest(tmp_path, **source) for source in layouts(tmp_path)]
    contents = {(Path(result.uri) / "interactions.parquet").read_bytes() for result in results}
    assert len(contents) == 1
    assert len(rows_of(results[0])) == len({row[:2] for row in PAIRS})


def test_integer_ids_sort_as_numbers(tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", "10 3 20\n9 100\n")
    result = ingest(tmp_path, path=path, format={"kind": "adjacency"}, ids="integer")
    assert rows_of(result) == [(9, 100), (10, 3), (10, 20)]


def test_of_an_ordered_list_the_last_of_equal_pairs_stays(tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", "u c a b a\nv b\n")
    result = ingest(tmp_path, path=path, format={"kind": "adjacency", "ordered": True})
    assert rows_of(result) == [("u", "a", 3), ("u", "b", 2), ("u", "c", 0), ("v", "b", 4)]


def test_a_pair_stands_in_its_earliest_part_and_is_rejected_from_the_others(tmp_path: Path) -> None:
    parts = {
        "train": written(tmp_path / "train" / "x.csv", "user_id,item_id\na,x\na,x\nb,y\n"),
        "test": written(tmp_path / "test" / "x.csv", "user_id,item_id\nb,z\na,x\n"),
    }
    result = ingest(tmp_path, parts=parts, max_rejected_fraction=0.2)
    assert rows_of(result) == [("a", "x", "train"), ("b", "y", "train"), ("b", "z", "test")]
    (rejected,) = read_table(Path(result.uri) / "rejected.parquet").to_pylist()
    assert rejected == {
        "file": "test/00000/x.csv",
        "line": 3,
        "reason": "the pair stands in an earlier part",
        "content": "a, x",
    }
    profile = read_document(Path(result.uri) / "profile.json")
    assert profile["parts"] == {"train": 2, "test": 1}
    assert profile["duplicates_dropped"] == 1


def test_few_bad_rows_are_set_aside_with_file_line_and_reason(tmp_path: Path) -> None:
    good = "".join(f"u{n},i{n},{n}\n" for n in range(96))
    text = f"user_id,item_id,when\n{good},x,1\nu,{'i' * 300},1\nu,i,soon\nu\n"
    result = ingest(
        tmp_path,
        path=written(tmp_path / "a.csv", text),
        columns={"timestamp": "when"},
        max_rejected_fraction=0.04,
    )
    rejected = read_table(Path(result.uri) / "rejected.parquet").to_pylist()
    assert [(row["file"], row["line"], row["reason"], row["content"]) for row in rejected] == [
        ("a.csv", 98, "user_id is empty", ",x,1"),
        ("a.csv", 99, "item_id is longer than 256 characters", f"u,{'i' * 198}"),
        ("a.csv", 100, "timestamp is not a number", "u,i,soon"),
        ("a.csv", 101, "has not 3 fields", "u"),
    ]
    assert result.metrics["rejected_rows"] == 4
    profile = read_document(Path(result.uri) / "profile.json")
    assert profile["rejected_by_reason"]["timestamp is not a number"] == 1


def test_a_row_of_empty_fields_is_rejected_and_counted(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "\nuser_id,item_id\na,b\n\n,\nc,d\n")
    result = ingest(tmp_path, path=path, max_rejected_fraction=0.5)
    (rejected,) = read_table(Path(result.uri) / "rejected.parquet").to_pylist()
    assert rejected == {"file": "a.csv", "line": 5, "reason": "user_id is empty", "content": ","}
    assert (result.metrics["rows"], result.metrics["interactions"]) == (3, 2)


def test_too_many_bad_rows_stop_the_run_and_are_kept(tmp_path: Path) -> None:
    text = "user_id,item_id\n" + "a,b\nc,d\n,x\n" * 40
    with pytest.raises(GateFailedError) as error:
        ingest(tmp_path, path=written(tmp_path / "a.csv", text))
    told = str(error.value)
    assert "40 of 120 rows (33.33%) cannot be used; max_rejected_fraction allows 1.00%" in told
    assert "40 × user_id is empty, as in a.csv:4: ',x'" in told
    (kept,) = tmp_path.glob("*.failed/output/rejected.parquet")
    assert read_table(kept).num_rows == 40
    assert not list(tmp_path.rglob(MANIFEST))


HEADER = "user_id,item_id,rating,timestamp\n"
COLUMNS = {"rating": "rating", "timestamp": "timestamp"}
PACKED = gzip.compress((HEADER + "a,b,1,2\n" * 50_000).encode())


def parquet(frame: pl.DataFrame) -> bytes:
    from io import BytesIO

    buffer = BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


BINARY = bytes(range(256)) * 50
GOOD = pl.DataFrame({"user_id": ["a"], "item_id": ["b"], "rating": [1.0], "timestamp": [1]})


@pytest.mark.parametrize(
    ("name", "content", "kind", "told"),
    [
        ("empty.csv", "", "delimited", "no rows in empty.csv"),
        ("empty.jsonl", "", "jsonl", "no rows in empty.jsonl"),
        ("empty.parquet", b"", "parquet", "no rows in empty.parquet"),
        ("header.csv", HEADER, "delimited", "no rows in header.csv"),
        ("header.csv", HEADER.strip(), "delimited", "no rows in header.csv"),
        ("no-rows.parquet", parquet(GOOD.head(0)), "parquet", "no rows"),
        (
            "column.csv",
            "user_id,item_id,rating\na,b,1\n",
            "delimited",
            "timestamp: got 'timestamp', no such column",
        ),
        (
            "column.parquet",
            parquet(GOOD.drop("item_id")),
            "parquet",
            "item_id: got 'item_id', no such column",
        ),
        ("float.parquet", parquet(GOOD.with_columns(user_id=1.5)), "parquet", "need text or integers"),
        ("picture.csv", BINARY, "delimited", "picture.csv: is a binary file"),
        ("picture.jsonl", BINARY, "jsonl", "picture.jsonl: is a binary file"),
        ("cut.csv.gz", PACKED[: len(PACKED) // 2], "delimited", "cut.csv.gz: the gzip file is truncated"),
        ("cut.parquet", parquet(GOOD)[:-20], "parquet", "cut.parquet: is truncated"),
    ],
)
def test_a_file_that_cannot_be_read_stops_the_run(
    name: str, content: str | bytes, kind: str, told: str, tmp_path: Path
) -> None:
    path = written(tmp_path / name, content)
    with pytest.raises(InvalidInputError, match=told):
        ingest(tmp_path, path=path, format={"kind": kind}, columns=COLUMNS)
    assert not list(tmp_path.rglob(MANIFEST))
    assert not list(tmp_path.rglob("interactions.parquet"))


def test_mixed_ids_are_judged_row_by_row(tmp_path: Path) -> None:
    text = "user_id,item_id\n" + "".join(f"{n},1\n" for n in range(60)) + "x7,1\n" * 40
    path = written(tmp_path / "a.csv", text)
    with pytest.raises(GateFailedError, match=r"40 × user_id is not an integer, as in a\.csv:62"):
        ingest(tmp_path, path=path, ids="integer")
    assert not list(tmp_path.rglob(MANIFEST))
    assert len(rows_of(ingest(tmp_path, path=path))) == 61


def test_nothing_usable_is_an_error_even_where_all_may_be_rejected(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "user_id,item_id\n,x\n")
    with pytest.raises(InvalidInputError, match=r"no usable rows in a\.csv"):
        ingest(tmp_path, path=path, max_rejected_fraction=1.0)


def test_names_of_features_may_not_hide_other_columns(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "user_id,item_id,x\na,b,c\n")
    with pytest.raises(InvalidInputError, match=r"got \['line', 'user'\], need other names"):
        ingest(tmp_path, path=path, columns={"features": {"user": "x", "line": "x"}})


def test_a_part_that_is_not_given_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "user_id,item_id\na,b\n")
    params = IngestParams(source=FilesSource(parts={"train": path, "test": path}), seed=1)
    with pytest.raises(InvalidInputError, match=r"need the inputs test, got \['train'\]"):
        execute(INGEST, params, {"train": path}, str(tmp_path / "out"))


def test_an_empty_file_among_others_is_no_error(tmp_path: Path) -> None:
    written(tmp_path / "in" / "a.csv", "")
    written(tmp_path / "in" / "b.csv", "user_id,item_id\na,b\n")
    written(tmp_path / "in" / "_SUCCESS", "")
    assert rows_of(ingest(tmp_path, path=str(tmp_path / "in"))) == [("a", "b")]


def test_the_source_and_the_artifact_may_be_in_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://{host}:{port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        client = boto3.client("s3")
        client.create_bucket(Bucket="lake")
        client.put_object(Bucket="lake", Key="day/1.csv", Body=b"user_id,item_id\na,x\n")
        client.put_object(Bucket="lake", Key="day/2.csv.gz", Body=gzip.compress(b"user_id,item_id\nb,y\n"))
        client.put_object(Bucket="lake", Key="days/3.csv", Body=b"not,this\n1,2\n")
        for place in ("s3://lake/day", "s3://lake/day/", "s3://lake/day/*.csv*"):
            assert rows_of(ingest(tmp_path, path=place)) == [("a", "x"), ("b", "y")]
        assert rows_of(ingest(tmp_path, path="s3://lake/day/1.csv")) == [("a", "x")]
        source = FilesSource(path="s3://lake/day")
        params = IngestParams(source=source, seed=1)
        result = execute(INGEST, params, source.locations(), "s3://lake/artifacts/{key}")
        again = execute(INGEST, params, source.locations(), "s3://lake/artifacts/{key}")
        assert (result.skipped, again.skipped, again.uri) == (False, True, result.uri)
        keys = [
            entry["Key"] for entry in client.list_objects_v2(Bucket="lake", Prefix="artifacts/")["Contents"]
        ]
        below = f"{result.uri.removeprefix('s3://lake/')}/"
        assert {key.removeprefix(below) for key in keys if key.startswith(below)} == {
            MANIFEST, "interactions.parquet", "profile.json", "rejected.parquet",
        }  # fmt: skip
        client.put_object(Bucket="lake", Key="next/4.csv", Body=b"user_id,item_id\nc,y\n")
        source = FilesSource(path="s3://lake/next")
        params = IngestParams(source=source, seed=1, deliveries="s3://lake/artifacts")
        following = execute(INGEST, params, source.locations(), "s3://lake/artifacts/{key}")
        assert read_manifest(following.uri).inputs["previous"].uri == result.uri
    finally:
        server.stop()
