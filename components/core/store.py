"""Where artifacts live: a local directory or S3, behind one small interface.

A URI is a local path or `s3://bucket/key`. Bytes move as whole files; a store never lists more than
one prefix and never deletes one.
"""

import contextlib
import errno
import fcntl
import glob
import json
import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, final

from components.core.errors import ConflictError, InfrastructureError, InvalidInputError
from components.core.hashing import sha256_file

_FULL = {errno.ENOSPC, errno.EDQUOT}
_UNUSABLE = {errno.ENOTDIR, errno.EISDIR, errno.EROFS, errno.EEXIST, errno.ENAMETOOLONG}


class Store(ABC):
    """Files under URIs. Missing things raise FileNotFoundError; a failing disk, network or server raises
    InfrastructureError."""

    @abstractmethod
    def list_files(self, uri: str) -> list[str]:
        """Every file at `uri`: itself, those below it, or those that its glob matches; sorted URIs."""

    @abstractmethod
    def exists(self, uri: str) -> bool:
        """Whether there is a file at `uri`."""

    @abstractmethod
    def content_hash(self, uri: str) -> str:
        """What changes when the file's content changes: SHA-256, or in S3 the ETag and the size."""

    @abstractmethod
    def read_bytes(self, uri: str) -> bytes:
        """A small file's content."""

    @abstractmethod
    def write_bytes(self, uri: str, content: bytes, *, if_absent: bool = False) -> None:
        """Write a small file so that a reader sees all of it or nothing.

        Raises:
            ConflictError: with `if_absent`, when there is one already.
        """

    @abstractmethod
    def fetch(self, uri: str, target: Path) -> Path:
        """A local path with the file's content: `target`, or the file itself where it is local."""

    @abstractmethod
    def upload(self, directory: Path, uri: str) -> None:
        """Put every file of a local directory under `uri`; `directory` may be consumed."""

    @abstractmethod
    def delete(self, uri: str) -> None:
        """Remove one file, and its directory if that leaves it empty; no error when there is none."""

    @abstractmethod
    def scratch(self, uri: str) -> contextlib.AbstractContextManager[Path]:
        """A local working directory from which `upload` to `uri` is cheap; gone afterwards."""

    @abstractmethod
    def lock(self, uri: str) -> contextlib.AbstractContextManager["Lock"]:
        """Hold the right to write `uri`. A holder that died holds it no longer.

        Raises:
            ConflictError: someone else holds it, and lives; says who, where and since when.
        """


class Lock(ABC):
    """A right to write that is held."""

    @abstractmethod
    def check(self) -> None:
        """See that it is still held: to be called before anything is published.

        Raises:
            InfrastructureError: it is lost; what was made must not be published.
        """


def open_store(uri: str) -> Store:
    """The store that a URI belongs to."""
    scheme = uri.partition("://")[0] if "://" in uri else ""
    if scheme == "s3":
        from components.core.s3 import S3Store

        return S3Store()
    if scheme in {"", "file"}:
        return LocalStore()
    raise InvalidInputError(f"{uri}: got scheme {scheme!r}, need a local path or s3://")


@final
class LocalStore(Store):
    """A directory. A URI is a path; `file://` is understood."""

    def list_files(self, uri: str) -> list[str]:
        path = _path(uri)
        with _disk(uri):
            if path.is_dir():
                found = [below for below in path.rglob("*") if below.is_file()]
                return sorted(str(name) for name in found if not is_hidden(name.relative_to(path)))
            if path.exists():
                return [str(path)]
            return sorted(name for name in glob.glob(str(path), recursive=True) if Path(name).is_file())

    def exists(self, uri: str) -> bool:
        return _path(uri).is_file()

    def content_hash(self, uri: str) -> str:
        with _disk(uri):
            return sha256_file(_path(uri))

    def read_bytes(self, uri: str) -> bytes:
        with _disk(uri):
            return _path(uri).read_bytes()

    def write_bytes(self, uri: str, content: bytes, *, if_absent: bool = False) -> None:
        path = _path(uri)
        with _disk(uri):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(prefix=".write-", dir=path.parent)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                os.chmod(temporary, 0o644)  # mkstemp makes files private
                if if_absent:
                    os.link(temporary, path)
                else:
                    os.replace(temporary, path)
            except FileExistsError as error:
                raise ConflictError(f"{uri}: exists already") from error
            finally:
                Path(temporary).unlink(missing_ok=True)

    def fetch(self, uri: str, target: Path) -> Path:
        path = _path(uri)
        if not path.is_file():
            raise FileNotFoundError(uri)
        return path

    def upload(self, directory: Path, uri: str) -> None:
        target = _path(uri)
        with _disk(uri):
            target.mkdir(parents=True, exist_ok=True)
            for source in sorted(path for path in directory.rglob("*") if path.is_file()):
                destination = target / source.relative_to(directory)
                destination.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(source, destination)

    def delete(self, uri: str) -> None:
        path = _path(uri)
        with _disk(uri):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty
            path.parent.rmdir()

    @contextlib.contextmanager
    def scratch(self, uri: str) -> Iterator[Path]:
        place = _path(uri)
        with _disk(uri):
            place.parent.mkdir(parents=True, exist_ok=True)
            prefix = f".{place.name}.scratch-"
            for stale in place.parent.glob(f"{glob.escape(prefix)}*"):  # a killed writer's; we hold the lock
                shutil.rmtree(stale, ignore_errors=True)
            directory = Path(tempfile.mkdtemp(prefix=prefix, dir=place.parent))
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    @contextlib.contextmanager
    def lock(self, uri: str) -> Iterator[Lock]:
        path = _path(f"{uri}.lock")
        with _disk(uri):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a+")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system lets go when we die
            except BlockingIOError as error:
                file.seek(0)
                raise ConflictError(
                    f"{uri}: another run is writing this ({file.read() or 'unknown'}); "
                    "wait for it, or stop it"
                ) from error
            file.truncate(0)
            file.write(json.dumps(lock_holder()))
            file.flush()
            yield _FileLock()


@final
class _FileLock(Lock):
    def check(self) -> None:
        """The system holds it for us as long as we live."""


def lock_holder() -> dict[str, Any]:
    """Who we are, for those who find our lock."""
    return {
        "pid": os.getpid(),
        "host": os.uname().nodename,
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def join(uri: str, *parts: str) -> str:
    """`uri` with path parts appended."""
    return "/".join([uri.rstrip("/"), *parts])


def name_of(uri: str) -> str:
    """The last part of a URI."""
    return PurePosixPath(uri.partition("://")[2] or uri).name


def _path(uri: str) -> Path:
    return Path(uri.removeprefix("file://"))


def is_plain(name: str) -> bool:
    """Whether a name leads to a place below the directory that it is taken from, whoever wrote it."""
    return bool(name) and "\0" not in name and not {"", ".", ".."} & set(name.split("/"))


def is_hidden(path: PurePath) -> bool:
    """Whether a file found below a directory is not data: `_SUCCESS`, `.DS_Store`, `_manifest.json`, …"""
    return any(part.startswith((".", "_")) for part in path.parts)


def is_disk_full(error: BaseException) -> bool:
    """Whether a full disk is behind an error, also where a library words it in its own way."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return True
        if any(words in str(cause) for words in ("No space left on device", "disk is full")):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


@contextlib.contextmanager
def _disk(uri: str) -> Iterator[None]:
    """Turn an operating-system error into ours, with the place and what to do."""
    try:
        yield
    except FileNotFoundError:
        raise
    except PermissionError as error:
        raise InvalidInputError(f"{uri}: cannot be read or written: permission denied") from error
    except OSError as error:
        if error.errno in _FULL:
            raise InfrastructureError(f"{uri}: the disk is full") from error
        if error.errno in _UNUSABLE:
            raise InvalidInputError(f"{uri}: cannot be read or written: {error.strerror}") from error
        raise InfrastructureError(f"{uri}: {error.strerror or error}") from error
