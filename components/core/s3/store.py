"""The store interface over S3."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import final

from components.core.s3 import keys, transfer
from components.core.s3.client import service
from components.core.s3.lease import Lease
from components.core.store import Lock, Store, join


@final
class S3Store(Store):
    """Objects under `s3://bucket/key`, on AWS or any server that speaks S3."""

    def list_files(self, uri: str) -> list[str]:
        bucket, key = keys.split(uri)
        with service(uri) as client:
            return [f"s3://{bucket}/{found}" for found in keys.find(client, bucket, key)]

    def exists(self, uri: str) -> bool:
        return transfer.exists(uri)

    def content_hash(self, uri: str) -> str:
        size, etag = transfer.describe(uri)
        return f"{etag}:{size}"

    def read_bytes(self, uri: str) -> bytes:
        return transfer.read(uri)[0]

    def write_bytes(self, uri: str, content: bytes, *, if_absent: bool = False) -> None:
        if if_absent:
            transfer.create(uri, content)
        else:
            transfer.put(uri, content)

    def fetch(self, uri: str, target: Path) -> Path:
        transfer.download(uri, target)
        return target

    def upload(self, directory: Path, uri: str) -> None:
        for source in sorted(path for path in directory.rglob("*") if path.is_file()):
            transfer.upload(source, join(uri, source.relative_to(directory).as_posix()))

    def delete(self, uri: str) -> None:
        bucket, key = keys.split(uri)
        with service(uri) as client:
            client.delete_object(Bucket=bucket, Key=key)

    @contextlib.contextmanager
    def scratch(self, uri: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="recloop-") as directory:
            yield Path(directory)

    @contextlib.contextmanager
    def lock(self, uri: str) -> Iterator[Lock]:
        lease = Lease(uri)
        lease.acquire()
        try:
            yield lease
        finally:
            lease.release()
