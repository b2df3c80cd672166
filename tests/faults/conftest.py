"""An S3 server in a process of its own, behind a proxy that makes things go wrong."""

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from boto3.s3.transfer import TransferConfig

from components.core.s3 import lease, transfer
from tests.faults.proxy import FaultProxy, running
from tests.services import S3Server

PART = 5 * 2**20  # the smallest that S3 allows
SECRET = "a-secret-word-of-the-tests"  # noqa: S105
_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> str:
    """The endpoint of the server behind the proxy; RECLOOP_TEST_S3 names one that runs already."""
    named = os.environ.get("RECLOOP_TEST_S3")
    if named:
        return named
    started: S3Server = request.getfixturevalue("s3_server")
    return started.endpoint


@pytest.fixture
def proxy(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """The proxy, and an environment that leads through it."""
    with running(server) as proxy:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in {
            "AWS_ENDPOINT_URL_S3": proxy.endpoint,
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "4",
            "HOME": "/nonexistent",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(transfer, "PART", PART)
        small = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=8)
        monkeypatch.setattr(transfer, "_PARTS", small)
        monkeypatch.setattr(transfer, "PAUSES_S", (0.01, 0.01))
        monkeypatch.setattr(lease, "TIMES", lease.Times(renew=0.2, dead=2.5, poll=0.1, settle=0.3))
        yield proxy


@pytest.fixture
def plain(server: str, proxy: FaultProxy) -> object:
    """A client that goes around the proxy, to see what really lies there."""
    return boto3.Session().client("s3", endpoint_url=server)


@pytest.fixture
def bucket(plain: object) -> str:
    """The URI of an empty bucket."""
    name = f"faults-{os.getpid()}-{next(_NUMBERS)}"
    plain.create_bucket(Bucket=name)  # type: ignore[attr-defined]
    return f"s3://{name}"


@pytest.fixture
def contents(plain: object, bucket: str) -> Callable[[], set[str]]:
    """The keys in the bucket, unfinished multipart uploads among them."""

    def look() -> set[str]:
        name = bucket.removeprefix("s3://")
        objects = plain.list_objects_v2(Bucket=name).get("Contents", [])  # type: ignore[attr-defined]
        uploads = plain.list_multipart_uploads(Bucket=name).get("Uploads", [])  # type: ignore[attr-defined]
        return {entry["Key"] for entry in objects} | {f"unfinished {entry['Key']}" for entry in uploads}

    return look


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file of five parts, the last one short."""
    path = tmp_path / "large.bin"
    block = bytes(range(251)) * 4178  # no power of two, so that parts differ
    path.write_bytes((block * 21)[: 4 * PART + 12345])
    return path
