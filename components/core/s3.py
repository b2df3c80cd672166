"""The S3 store: boto3, credentials from the standard AWS chain only."""

import contextlib
import fnmatch
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, final
from urllib.parse import urlsplit

from components.core.errors import ConflictError, InfrastructureError, InvalidInputError
from components.core.store import Store, is_hidden, lock_holder


@final
class S3Store(Store):
    """Objects under `s3://bucket/key`. An endpoint other than AWS's comes from $AWS_ENDPOINT_URL_S3."""

    @cached_property
    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        # "auto" becomes path style by itself where the endpoint is not AWS's own
        return boto3.client("s3", config=Config(retries={"mode": "standard", "max_attempts": 5}))

    def list_files(self, uri: str) -> list[str]:
        bucket, key = _split(uri)
        prefix = re.split(r"[*?\[]", key, maxsplit=1)[0]
        with _service(uri):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        if prefix != key:
            keys = [found for found in keys if _matches(found.split("/"), key.split("/"))]
        else:
            below = key.rstrip("/") + "/" if key else ""
            keys = [
                found
                for found in keys
                if found == key
                or (found.startswith(below) and not is_hidden(PurePosixPath(found.removeprefix(below))))
            ]
        return sorted(f"s3://{bucket}/{found}" for found in keys if not found.endswith("/"))

    def exists(self, uri: str) -> bool:
        bucket, key = _split(uri)
        try:
            with _service(uri):
                self._client.head_object(Bucket=bucket, Key=key)
        except FileNotFoundError:
            return False
        return True

    def content_hash(self, uri: str) -> str:
        bucket, key = _split(uri)
        with _service(uri):
            head = self._client.head_object(Bucket=bucket, Key=key)
        return f"{head['ETag']}:{head['ContentLength']}"

    def read_bytes(self, uri: str) -> bytes:
        bucket, key = _split(uri)
        with _service(uri):
            content: bytes = self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
            return content

    def write_bytes(self, uri: str, content: bytes, *, if_absent: bool = False) -> None:
        bucket, key = _split(uri)
        condition = {"IfNoneMatch": "*"} if if_absent else {}
        with _service(uri):
            self._client.put_object(Bucket=bucket, Key=key, Body=content, **condition)

    def fetch(self, uri: str, target: Path) -> Path:
        bucket, key = _split(uri)
        target.parent.mkdir(parents=True, exist_ok=True)
        with _service(uri):
            self._client.download_file(bucket, key, str(target))
        return target

    def upload(self, directory: Path, uri: str) -> None:
        bucket, prefix = _split(uri)
        with _service(uri):
            for source in sorted(path for path in directory.rglob("*") if path.is_file()):
                key = f"{prefix.rstrip('/')}/{source.relative_to(directory).as_posix()}"
                self._client.upload_file(str(source), bucket, key)

    def delete(self, uri: str) -> None:
        bucket, key = _split(uri)
        with _service(uri):
            self._client.delete_object(Bucket=bucket, Key=key)

    @contextlib.contextmanager
    def scratch(self, uri: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="recloop-") as directory:
            yield Path(directory)

    @contextlib.contextmanager
    def lock(self, uri: str) -> Iterator[None]:
        place = f"{uri}.lock"
        try:
            self.write_bytes(place, json.dumps(lock_holder()).encode(), if_absent=True)
        except ConflictError as error:
            try:
                holder = self.read_bytes(place).decode()
            except FileNotFoundError:
                holder = "finished this moment"
            raise ConflictError(
                f"{uri}: another run is writing this ({holder}); wait for it, or delete {place} if it is dead"
            ) from error
        try:
            yield
        finally:
            self.delete(place)


def _matches(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    """Glob matching as on a disk: `*` stays within one part, `**` spans any number of them."""
    if not patterns or not parts:
        return not parts and all(pattern == "**" for pattern in patterns)
    if patterns[0] == "**" and _matches(parts, patterns[1:]):
        return True
    if parts[0].startswith(".") and not patterns[0].startswith("."):
        return False
    if patterns[0] == "**":
        return _matches(parts[1:], patterns)
    return fnmatch.fnmatchcase(parts[0], patterns[0]) and _matches(parts[1:], patterns[1:])


def _split(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri, allow_fragments=False)
    if not parts.netloc:
        raise InvalidInputError(f"{uri}: need s3://bucket/key")
    query = f"?{parts.query}" if parts.query else ""  # '?' is a glob character here
    return parts.netloc, parts.path.lstrip("/") + query


@contextlib.contextmanager
def _service(uri: str) -> Iterator[None]:
    """Turn boto3's errors into ours; never shows a credential."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

    try:
        yield
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise InvalidInputError(
            f"{uri}: no AWS credentials found; set them up as for the AWS command line "
            "(environment, profile or role)"
        ) from error
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in {"404", "NoSuchKey", "NotFound"}:
            raise FileNotFoundError(uri) from error
        if code == "NoSuchBucket":
            raise InvalidInputError(f"{uri}: the bucket does not exist") from error
        if code in {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}:
            raise ConflictError(f"{uri}: exists already") from error
        if code in {"403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"}:
            raise InvalidInputError(
                f"{uri}: access denied ({code}); check the credentials in use and the bucket's policy"
            ) from error
        raise InfrastructureError(f"{uri}: the server answered {code}") from error
    except (BotoCoreError, Boto3Error) as error:
        raise InfrastructureError(f"{uri}: {error}") from error
