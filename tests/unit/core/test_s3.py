"""The S3 store against a local server that speaks S3."""

import itertools

import boto3
import pytest
from botocore.exceptions import ClientError

from components.core.errors import ConflictError, InvalidInputError
from components.core.manifest import MANIFEST, read_manifest
from components.core.recipe.reading import build_recipe
from components.core.s3 import S3Store
from components.core.s3.errors import explain
from components.core.s3.keys import find, matches
from components.core.stage import execute
from components.core.store import name_of, open_store

NUMBERS = itertools.count()


@pytest.fixture
def bucket(s3_server, monkeypatch):
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{s3_server.bucket(f'unit-{next(NUMBERS)}')}"


def test_bytes_go_in_and_out(bucket, tmp_path):
    store = open_store(bucket)
    assert isinstance(store, S3Store)
    uri = f"{bucket}/a/file with spaces é.txt"
    assert not store.exists(uri)
    for read in (store.read_bytes, store.content_hash, lambda uri: store.fetch(uri, tmp_path / "x" / "y")):
        with pytest.raises(FileNotFoundError):
            read(uri)
    store.write_bytes(uri, b"one")
    first = store.content_hash(uri)
    store.write_bytes(uri, b"two")
    assert store.content_hash(uri) != first
    assert store.read_bytes(uri) == b"two"
    assert store.exists(uri)
    assert store.fetch(uri, tmp_path / "x" / "y").read_bytes() == b"two"
    with pytest.raises(ConflictError, match="exists already"):
        store.write_bytes(uri, b"three", if_absent=True)
    store.delete(uri)
    store.delete(uri)
    assert not store.exists(uri)


def test_listing_a_key_a_prefix_and_a_glob(bucket):
    store = open_store(bucket)
    for name in ("in/b.csv", "in/a.csv", "in/c.txt", "in/below/d.csv", "in/.hidden.csv", "in/_SUCCESS",
                 "in/_tmp/e.csv", "in2/f.csv", "in/folder/"):  # fmt: skip
        store.write_bytes(f"{bucket}/{name}", b"x")

    def names(pattern):
        return [found.removeprefix(f"{bucket}/") for found in store.list_files(f"{bucket}/{pattern}")]

    assert names("in/a.csv") == ["in/a.csv"]
    assert names("in") == names("in/") == ["in/a.csv", "in/b.csv", "in/below/d.csv", "in/c.txt"]
    assert names("in/*.csv") == ["in/a.csv", "in/b.csv"]
    assert names("in*/?.csv") == ["in/a.csv", "in/b.csv", "in2/f.csv"]
    assert names("in/**/*.csv") == ["in/_tmp/e.csv", "in/a.csv", "in/b.csv", "in/below/d.csv"]
    assert names("in/[bc].*") == ["in/b.csv", "in/c.txt"]
    assert names("nothing") == names("nothing/*") == []
    assert "in2/f.csv" in names("")


@pytest.mark.parametrize(
    ("key", "pattern", "expected"),
    [
        ("a/b/c", "a/*/c", True),
        ("a/b/c", "a/*", False),
        ("a/b/c", "a/**", True),
        ("a/c", "a/**/c", True),
        ("a/x/y/c", "**/c", True),
        ("a", "a/**", True),
        ("a/.b", "a/*", False),
        ("a/.b", "a/.*", True),
        ("a/.b/c", "a/**/c", False),
    ],
)
def test_globs_match_as_on_a_disk(key, pattern, expected):
    assert matches(key.split("/"), pattern.split("/")) == expected


def test_more_objects_than_a_page_holds(bucket):
    store = open_store(bucket)
    client = boto3.client("s3")
    for number in range(1005):
        client.put_object(Bucket=bucket[5:], Key=f"in/{number:04d}", Body=b"")
    assert len(store.list_files(f"{bucket}/in")) == 1005


@pytest.mark.parametrize(
    "key",
    [
        "a b+c",
        "per%20cent%",
        "what?.csv",
        "#1",
        "a[1].csv",
        "star*",
        "é–ü",
        "a&b=c;d",
        "q'uo\"te",
        "a//b",
        "tab\there",
    ],
)
def test_a_key_may_hold_any_character(bucket, tmp_path, key):
    store, uri = open_store(bucket), f"{bucket}/in/{key}"
    store.write_bytes(uri, b"x")
    store.write_bytes(f"{bucket}/in/another", b"y")
    assert store.list_files(uri) == [uri]
    assert uri in store.list_files(f"{bucket}/in")
    assert store.fetch(uri, tmp_path / "got").read_bytes() == b"x"
    store.delete(uri)
    assert store.list_files(f"{bucket}/in") == [f"{bucket}/in/another"]


def test_a_file_is_named_by_its_keys_end():
    assert name_of("s3://bucket/in/what?.csv#1") == "what?.csv#1"
    assert name_of("in/a.csv") == "a.csv"


def test_a_prefix_ends_at_a_slash(bucket):
    store = open_store(bucket)
    for name in ("a/x", "ab/y", "a.csv", "a/b/z"):
        store.write_bytes(f"{bucket}/{name}", b"")
    assert store.list_files(f"{bucket}/a") == [f"{bucket}/a/b/z", f"{bucket}/a/x"]


class Unordered:
    """A server that lists in no order and over several pages, as directory buckets do."""

    def get_paginator(self, name):
        assert name == "list_objects_v2"
        return self

    def paginate(self, *, Bucket, Prefix):
        keys = ["in/c", "in/a", "in/sub/", "in/b", "in/_tmp", "inner"]
        yield {"Contents": [{"Key": key} for key in keys[:3] if key.startswith(Prefix)]}
        yield {}
        yield {"Contents": [{"Key": key} for key in keys[2:] if key.startswith(Prefix)]}

    def head_object(self, **_):
        raise ClientError({"ResponseMetadata": {"HTTPStatusCode": 404}}, "HeadObject")


@pytest.mark.parametrize("key", ["in", "in/", "in/[a-c]"])
def test_a_listing_may_come_in_any_order(key):
    assert find(Unordered(), "bucket", key) == ["in/a", "in/b", "in/c"]


def test_a_bucket_in_another_region_names_it():
    answer = {
        "Error": {"Code": "301"},
        "ResponseMetadata": {"HTTPStatusCode": 301, "HTTPHeaders": {"x-amz-bucket-region": "eu-west-1"}},
    }
    error = explain("s3://b/k", "the S3 server at x", ClientError(answer, "HeadBucket"))
    assert isinstance(error, InvalidInputError)
    assert "the bucket lies in eu-west-1; set AWS_DEFAULT_REGION to it" in str(error)


def test_a_stage_from_s3_to_s3(bucket, toy):
    store = open_store(bucket)
    for name, text in {"a.txt": "one two", "below/b.txt": "three", "_SUCCESS": ""}.items():
        store.write_bytes(f"{bucket}/in/{name}", text.encode())
    output = f"{bucket}/out/{{key}}"
    result = execute(toy.COUNT, toy.ToyParams(), {"source": f"{bucket}/in"}, output)
    assert store.read_bytes(f"{result.uri}/table/count.txt") == b"3"
    assert read_manifest(result.uri).sha256 == result.sha256
    assert sorted(uri.removeprefix(result.uri) for uri in store.list_files(f"{bucket}/out*/**")) == [
        f"/{MANIFEST}",
        "/table/count.txt",
    ]
    again = execute(toy.COUNT, toy.ToyParams(), {"source": f"{bucket}/in"}, output)
    assert again.skipped
    assert toy.calls.count("run") == 1
    copied = execute(
        toy.COPY, toy.ToyParams(), {"counts": result.uri, "source": f"{bucket}/in/*.txt"}, output
    )
    assert copied.metrics == {"lines": 2}


def test_a_workspace_in_s3_needs_a_server_for_mlflow(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    document = {"name": "toy", "workspace": "s3://bucket/ws", "source": {"kind": "synthetic"}}
    with pytest.raises(InvalidInputError, match=r"registry\.tracking_uri: missing"):
        build_recipe(document, place="toy").stage_params()
