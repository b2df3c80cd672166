"""Where a stage saves itself, so that after a kill it goes on instead of starting anew."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal, final

from pydantic import Field

from components.core.hashing import sha256_file, sha256_json
from components.core.store import Lock, join, open_store
from components.core.strategy import Config


@final
class Checkpoint:
    """Two slots beside an artifact's URI, written in turn, and a pointer to the newer one, written last.

    It belongs to one cache key: what was saved for other work at the same place is not loaded. Who has lost
    the lock on `uri` saves nothing: that place is another's now.
    """

    def __init__(self, uri: str, scratch: Path, key: str, lock: Lock | None = None) -> None:
        self._artifact, self._uri = uri, f"{uri}.checkpoint"
        self._scratch, self._store = scratch, open_store(uri)
        self._key, self._lock = key, lock
        self._slot = 0
        self._parts: list[Checkpoint] = []

    def part(self, name: str, *origin: str) -> "Checkpoint":
        """A checkpoint for one of several parts of the work, beside this one and discarded with it.

        Args:
            origin: hashes of what this part starts from and the cache key does not hold: what was saved on
                the way from another origin is not loaded.
        """
        scratch = self._scratch / name
        scratch.mkdir(exist_ok=True)
        key = sha256_json([self._key, *origin])
        part = Checkpoint(f"{self._artifact}.{name}", scratch, key, self._lock)
        self._parts.append(part)
        return part

    def save(self, write: Callable[[Path], None]) -> None:
        """Store the files that `write` puts into the directory it is given.

        Raises:
            InfrastructureError: the lock is lost; another run goes on from here.
        """
        if self._lock is not None:
            self._lock.check()
        self._slot = 1 - self._slot
        directory = self._scratch / "checkpoint"
        directory.mkdir()
        write(directory)
        files = {path.name: sha256_file(path) for path in directory.iterdir()}
        self._store.upload(directory, join(self._uri, str(self._slot)))
        shutil.rmtree(directory)
        pointer = _Pointer(key=self._key, slot=self._slot, files=files)
        self._store.write_bytes(join(self._uri, "latest.json"), pointer.model_dump_json().encode())

    def load(self) -> Path | None:
        """A directory with the files last saved, or None where there is nothing (whole)."""
        target = self._scratch / "resumed"
        pointer = self._pointer()
        if pointer is None or pointer.key != self._key:
            return None
        self._slot = pointer.slot
        target.mkdir(exist_ok=True)
        try:
            return target if self._fetch(pointer.files, target) else None
        except FileNotFoundError:
            return None

    def _pointer(self) -> "_Pointer | None":
        """None where there is none that we wrote."""
        try:
            return _Pointer.model_validate_json(self._store.read_bytes(join(self._uri, "latest.json")))
        except (FileNotFoundError, ValueError):  # pydantic's is a ValueError
            return None

    def _fetch(self, files: Mapping[str, str], target: Path) -> bool:
        for name, expected in files.items():
            path = self._store.fetch(join(self._uri, str(self._slot), name), target / name)
            if sha256_file(path) != expected:
                return False
            if path != target / name:
                (target / name).symlink_to(path.absolute())
        return True

    def discard(self) -> None:
        """Remove what was saved: the work is done. Only files that we wrote, by name."""
        for part in self._parts:
            part.discard()
        pointer = self._pointer()
        if pointer is None:
            return
        for slot in ("0", "1"):
            for name in pointer.files:
                self._store.delete(join(self._uri, slot, name))
        self._store.delete(join(self._uri, "latest.json"))  # last: it knows the names


class _Pointer(Config):
    """Where the newest save lies, and what it holds."""

    key: str
    slot: Literal[0, 1]
    files: dict[Annotated[str, Field(pattern=r"^\w[\w.-]*$")], str]  # name → SHA-256
