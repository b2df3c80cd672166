"""The manifest: what an artifact is, written last. Without it the artifact does not exist."""

import json
import os
import subprocess
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator

from components.core.errors import IntegrityError
from components.core.hashing import canonical_json, sha256_file, sha256_json
from components.core.store import Store, is_plain, join, open_store
from components.core.strategy import Config

MANIFEST = "_manifest.json"
_PACKAGES = ("torch", "numpy", "pyarrow", "polars", "pandas", "great-expectations", "mlflow", "pydantic")


class FileEntry(Config):
    """One file: hash of its bytes; for a table also its rows, its columns with their types, and the
    fingerprint of its schema."""

    sha256: str
    bytes: int
    rows: int | None = None
    schema_fingerprint: str | None = None
    columns: dict[str, str] | None = None


def _is_below(name: str) -> str:
    if not is_plain(name):
        raise ValueError(f"got the file {name!r}, need a path below the artifact")
    return name


class RawFile(Config):
    """One file from outside: its place, and what changes with its content (see `Store.content_hash`)."""

    uri: str
    hash: str


class InputEntry(Config):
    """One input as it was read; of raw data also its files."""

    uri: str
    sha256: str
    files: tuple[RawFile, ...] = ()


class Manifest(Config):
    """What produced an artifact, from what, and what it holds."""

    stage: str
    artifact: str
    key: str
    params: dict[str, Any]
    code_version: str
    git_sha: str | None
    image_digest: str | None
    inputs: dict[str, InputEntry]
    files: dict[Annotated[str, AfterValidator(_is_below)], FileEntry]
    metrics: dict[str, float]
    validation: dict[str, Any]
    seed: int | None
    device: str
    packages: dict[str, str]
    started: datetime
    ended: datetime

    @property
    def sha256(self) -> str:
        """The artifact's content hash: its files' names and hashes, and nothing else."""
        return sha256_json({name: entry.sha256 for name, entry in self.files.items()})

    def to_json(self) -> bytes:
        """The manifest as stored: sealed with a hash of itself, so that an edit shows."""
        document = self.model_dump(mode="json")
        return (canonical_json({**document, "seal": sha256_json(document)}) + "\n").encode()

    @classmethod
    def from_json(cls, text: bytes, *, place: str) -> Self:
        """Read a stored manifest.

        Raises:
            IntegrityError: it is damaged or was edited.
        """
        try:
            document = json.loads(text)
            seal = document.pop("seal", None)
            manifest = cls.model_validate(document)
            expected = sha256_json(document)
        except (ValueError, TypeError, AttributeError, RecursionError) as error:  # pydantic's is a ValueError
            raise IntegrityError(
                f"{place}: not a manifest ({type(error).__name__}); delete the artifact's "
                "directory to have it made again"
            ) from error
        if seal != expected:
            raise IntegrityError(
                f"{place}: was changed after it was written (its seal does not fit); delete "
                "the artifact's directory to have it made again"
            )
        return manifest


def read_manifest(uri: str, store: Store | None = None) -> Manifest:
    """The manifest of the artifact at `uri`.

    Raises:
        FileNotFoundError: there is no (finished) artifact.
        IntegrityError: the manifest was changed.
    """
    place = join(uri, MANIFEST)
    return Manifest.from_json((store or open_store(uri)).read_bytes(place), place=place)


def fetch_artifact(uri: str, target: Path) -> tuple[Path, Manifest]:
    """Bring an artifact and its manifest to a local directory and check every file against it.

    Raises:
        FileNotFoundError: there is no (finished) artifact.
        IntegrityError: a file is missing or differs; names it.
    """
    store = open_store(uri)
    manifest = read_manifest(uri, store)
    for name, entry in manifest.files.items():
        try:
            path = store.fetch(join(uri, name), target / name)
        except FileNotFoundError as error:
            raise IntegrityError(
                f"{join(uri, name)}: is missing, though the manifest names it; "
                f"delete {uri} to have it made again"
            ) from error
        found = sha256_file(path)
        if found != entry.sha256:
            raise IntegrityError(
                f"{join(uri, name)}: its SHA-256 is {found[:12]}…, the manifest says "
                f"{entry.sha256[:12]}…; it was changed after it was written; "
                f"delete {uri} to have it made again"
            )
    place = store.fetch(join(uri, MANIFEST), target / MANIFEST)
    return place.parent, manifest  # for a local store the artifact itself: no copy was made


def describe_files(
    directory: Path,
    tables: Mapping[str, tuple[int, str]],
    columns: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, FileEntry]:
    """Entries for every file below `directory`; `tables` gives rows and schema fingerprint by name, `columns`
    the columns with their types."""
    entries = {}
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        name = path.relative_to(directory).as_posix()
        rows, fingerprint = tables.get(name, (None, None))
        entries[name] = FileEntry(
            sha256=sha256_file(path),
            bytes=path.stat().st_size,
            rows=rows,
            schema_fingerprint=fingerprint,
            columns=dict(found) if (found := (columns or {}).get(name)) else None,
        )
    return entries


@cache
def package_versions() -> dict[str, str]:
    """Versions of the installed packages that shape results."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@cache
def git_sha() -> str | None:
    """The checkout's commit, or what the image was built from ($RECLOOP_GIT_SHA)."""
    given = os.environ.get("RECLOOP_GIT_SHA")
    if given:
        return given
    command = ["git", "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:  # no git here
        return None
    return answer.stdout.strip() or None
