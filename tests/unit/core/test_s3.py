"""The S3 store against a local server that speaks S3."""

import itertools

import boto3
import pytest
from moto.server import ThreadedMotoServer

from components.core.errors import ConflictError, InfrastructureError, InvalidInputError
from components.core.manifest import MANIFEST, read_manifest
from components.core.recipe.reading import build_recipe
from components.core.s3 import S3Store
from components.core.s3.keys import matches
from components.core.stage import execute
from components.core.store import open_store

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def endpoint():
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint, monkeypatch):
    for name, value in {
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "a-secret-word",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    name = f"bucket{next(NUMBERS)}"
    boto3.client("s3").create_bucket(Bucket=name)
    return f"s3://{name}"


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


def test_the_lock(bucket):
    uri = f"{bucket}/artifact"
    message = r'another run is writing this \(\{"pid": \d+, "host": [^}]*"since": [^}]*\}\); wait'
    with open_store(uri).lock(uri), pytest.raises(ConflictError, match=message):
        open_store(uri).lock(uri).__enter__()
    with pytest.raises(RuntimeError, match="inside"), open_store(uri).lock(uri):
        raise RuntimeError("inside")
    assert open_store(uri).list_files(bucket + "/") == []


def test_what_is_wrong_is_said_without_a_secret(bucket, monkeypatch):
    with pytest.raises(InvalidInputError, match="the bucket does not exist"):
        open_store("s3://none").list_files("s3://none/x")
    with pytest.raises(InvalidInputError, match="need s3://bucket/key"):
        open_store("s3://").read_bytes("s3://")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it remembers credentials
    monkeypatch.setenv("HOME", "/nonexistent")
    with pytest.raises(InvalidInputError, match="no AWS credentials found"):
        open_store(bucket).read_bytes(f"{bucket}/x")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-word")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(InfrastructureError) as caught:
        open_store(bucket).read_bytes(f"{bucket}/x")
    assert "a-secret-word" not in str(caught.value)


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
