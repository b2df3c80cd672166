"""Bytes in and out, whole or not at all, in bounded memory.

botocore repeats a request that fails before its answer begins. What it does not repeat is dealt with here:
a body cut in the middle, a part whose every try failed, an object rewritten while it is read.
"""

import logging
import os
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from boto3.s3.transfer import TransferConfig, create_transfer_manager
from botocore.exceptions import (
    ClientError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
)
from s3transfer.exceptions import RetriesExceededError, S3DownloadFailedError, S3ValidationError
from s3transfer.subscribers import BaseSubscriber
from urllib3.exceptions import HTTPError

from components.core.errors import ConflictError, InfrastructureError
from components.core.s3.client import service
from components.core.s3.keys import split

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

PART = 16 * 2**20  # bytes; what is larger moves in parts of this size, up to 8 at a time
PAUSES_S = (1.0, 4.0, 16.0)  # between the tries of one whole object
_PARTS = TransferConfig(
    multipart_threshold=PART,
    multipart_chunksize=PART,
    max_concurrency=8,
    max_io_queue=100,  # chunks of 256 KiB that wait for the disk: 25 MiB; the default may hold 250
)
_CUT = (FlexibleChecksumError, HTTPClientError, HTTPError, IncompleteReadError, ConnectionError, TimeoutError)


Condition = Mapping[str, str]
ALWAYS: Condition = {}
ABSENT: Condition = {"IfNoneMatch": "*"}


def unchanged(etag: str) -> Condition:
    """That the object still has this ETag."""
    return {"IfMatch": etag}


_NO_CONDITIONS = {"NotImplemented", "InvalidArgument", "InvalidRequest", "501"}


class NoConditionsError(InfrastructureError):
    """The server refuses conditional writes."""


class _CutError(InfrastructureError):
    """An object's body ended too early, or was not what was sent."""


class _KnownObject(BaseSubscriber):  # type: ignore[misc]  # s3transfer's types are not checked here
    """Tells a download which object it reads: every part is asked for with If-Match."""

    def __init__(self, size: int, etag: str) -> None:
        self._size, self._etag = size, etag

    def on_queued(self, future: Any, **kwargs: Any) -> None:
        future.meta.provide_transfer_size(self._size)
        future.meta.provide_object_etag(self._etag)


def read(uri: str, *, quick: bool = False) -> tuple[bytes, str]:
    """A small object's content and its ETag."""
    bucket, key = split(uri)

    def once() -> tuple[bytes, str]:
        with service(uri, quick=quick) as client:
            answer = client.get_object(Bucket=bucket, Key=key)
            try:
                return answer["Body"].read(), answer["ETag"]
            except _CUT as error:
                raise _CutError(f"{uri}: the connection was cut ({type(error).__name__})") from error

    return once() if quick else _persist(once, _CutError)


def put(uri: str, content: bytes, condition: Condition = ALWAYS, *, quick: bool = False) -> str:
    """Write a small object if the condition holds; its new ETag.

    Raises:
        ConflictError: the condition does not hold.
        FileNotFoundError: nor is there an object.
        NoConditionsError: the server refuses conditions.
    """
    bucket, key = split(uri)
    with service(uri, quick=quick) as client:
        try:
            etag: str = client.put_object(Bucket=bucket, Key=key, Body=content, **condition)["ETag"]
        except ClientError as error:
            if condition and error.response["Error"]["Code"] in _NO_CONDITIONS:
                raise NoConditionsError(f"{uri}: this server has no conditional writes") from error
            raise
        return etag


def create(uri: str, content: bytes) -> None:
    """Write a small object where there is none. A server that knows no conditions is asked first.

    Raises:
        ConflictError: there is one.
    """
    if exists(uri):  # the best that can be done where the server ignores the condition
        raise ConflictError(f"{uri}: exists already")
    try:
        put(uri, content, ABSENT)
    except ConflictError:
        if read(uri)[0] != content:  # else our own: written by a try whose answer was lost
            raise
    except NoConditionsError as error:
        logger.warning("%s", error)
        put(uri, content)


def exists(uri: str) -> bool:
    """Whether there is an object."""
    try:
        describe(uri)
    except FileNotFoundError:
        return False
    return True


def describe(uri: str) -> tuple[int, str]:
    """An object's size in bytes and its ETag."""
    bucket, key = split(uri)
    with service(uri) as client:
        head = client.head_object(Bucket=bucket, Key=key)
        return head["ContentLength"], head["ETag"]


def download(uri: str, target: Path) -> None:
    """Bring an object to `target`, which appears when it is whole."""

    def once() -> None:
        size, etag = describe(uri)
        if size > PART:
            _download_parts(uri, target, size, etag)
            return
        part = target.with_name(f"{target.name}.part")
        part.write_bytes(read(uri)[0])  # one answer: it cannot be of two objects
        os.replace(part, target)

    target.parent.mkdir(parents=True, exist_ok=True)
    _persist(once, InfrastructureError)


def _download_parts(uri: str, target: Path, size: int, etag: str) -> None:
    bucket, key = split(uri)
    try:
        with service(uri) as client, create_transfer_manager(client, _PARTS) as transfers:
            known = _KnownObject(size, etag)
            transfers.download(bucket, key, str(target), subscribers=[known]).result()
    except RetriesExceededError as error:
        raise InfrastructureError(f"{uri}: the connection was cut again and again") from error
    except (S3DownloadFailedError, S3ValidationError) as error:
        raise InfrastructureError(f"{uri}: was rewritten while it was read") from error
    found = target.stat().st_size
    if found != size:
        target.unlink()
        raise InfrastructureError(f"{uri}: got {found} bytes, need {size}")


def upload(source: Path, uri: str) -> None:
    """Store a file; a large one in parts, which are discarded when it fails."""
    bucket, key = split(uri)

    def once() -> None:
        with service(uri) as client, create_transfer_manager(client, _PARTS) as transfers:
            transfers.upload(str(source), bucket, key).result()

    _persist(once, InfrastructureError)


def _persist(action: Callable[[], Result], again: type[InfrastructureError]) -> Result:
    """The action's result, tried again on errors of one kind: its result took hours to make."""
    for pause_s in PAUSES_S:
        try:
            return action()
        except again as error:
            wait_s = pause_s * random.uniform(0.5, 1)
            logger.warning("%s; trying again in %.1f s", error, wait_s)
            time.sleep(wait_s)
    return action()
