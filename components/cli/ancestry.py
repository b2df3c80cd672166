"""What an artifact was made from, back to the files from outside."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal

from components.catalog import PROMOTE, STAGES
from components.core.errors import IntegrityError, RecloopError
from components.core.manifest import InputEntry, Manifest, fetch_artifact, read_manifest
from components.core.store import open_store

State = Literal["there", "gone", "changed"]
_INPUTS: Final = {(spec.name, entry.name): entry for spec in (*STAGES, PROMOTE) for entry in spec.inputs}


@dataclass(frozen=True)
class File:
    """A file from outside."""

    uri: str
    hash: str
    state: State


@dataclass(frozen=True)
class Link:
    """An input of an artifact.

    Attributes:
        side: whether the artifact was only compared with it, or started from it: it is not followed.
        state: whether the artifact that is there now is the one that was read.
    """

    name: str
    uri: str
    sha256: str
    side: bool
    state: State


@dataclass
class Ancestor:
    """An artifact, or data from outside; `sha256` is of what was read."""

    uri: str
    sha256: str
    kind: str
    stage: str | None = None
    made: str | None = None
    code_version: str | None = None
    git_sha: str | None = None
    state: State = "there"
    told: str = ""
    inputs: list[Link] = field(default_factory=list)
    files: list[File] = field(default_factory=list)


@dataclass
class Ancestry:
    """An artifact's ancestors, each once.

    Attributes:
        roots: input name → key of an ancestor, such as the artifact itself, or what a version came from.
        ancestors: key → ancestor; a key is the URI with the hash.
    """

    roots: dict[str, str]
    ancestors: dict[str, Ancestor]

    def document(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    def faults(self) -> Iterator[str]:
        """What is not any more what it was."""
        for ancestor in self.ancestors.values():
            if ancestor.state != "there" and not ancestor.files:
                yield f"{ancestor.uri}: {ancestor.told or ancestor.state}"
            yield from (f"{file.uri}: {file.state}" for file in ancestor.files if file.state != "there")


def key_of(uri: str, sha256: str) -> str:
    """Of an ancestor: at one place may have lain more than one."""
    return f"{uri} {sha256}"


def trace(roots: Mapping[str, InputEntry], *, verify: bool) -> Ancestry:
    """Every ancestor of some artifacts.

    Args:
        verify: hash every file again.
    """
    ancestry = Ancestry({name: key_of(entry.uri, entry.sha256) for name, entry in roots.items()}, {})
    waiting = [(entry, True) for entry in roots.values()]
    while waiting:
        entry, ours = waiting.pop()
        key = key_of(entry.uri, entry.sha256)
        if key in ancestry.ancestors:
            continue
        if not ours:
            ancestry.ancestors[key] = _outside(entry, verify=verify)
            continue
        found, manifest = _artifact(entry, verify=verify)
        ancestry.ancestors[key] = found
        for name, parent in manifest.inputs.items() if manifest else ():
            spec = _INPUTS.get((manifest.stage, name)) if manifest else None
            side = spec is not None and not spec.keyed
            state = _state(parent) if side else "there"  # what is followed says so itself
            found.inputs.append(Link(name, parent.uri, parent.sha256, side, state))
            if not side:
                outside = parent.files or (spec is not None and spec.artifact is None)
                waiting.append((parent, not outside))
    return ancestry


def _artifact(entry: InputEntry, *, verify: bool) -> tuple[Ancestor, Manifest | None]:
    found = Ancestor(entry.uri, entry.sha256, "artifact")
    try:
        manifest = read_manifest(entry.uri)
    except FileNotFoundError:
        found.state, found.told = "gone", "gone; what it was made from is not known"
        return found, None
    except RecloopError as error:
        found.state, found.told = "changed", str(error)
        return found, None
    found.kind, found.stage, found.made = manifest.artifact, manifest.stage, manifest.ended.isoformat()
    found.code_version, found.git_sha = manifest.code_version, manifest.git_sha
    if manifest.sha256 != entry.sha256:
        found.state = "changed"
        found.told = f"another content, {manifest.sha256[:12]}, is there now"
        return found, None
    if verify:
        try:
            with TemporaryDirectory(prefix="recloop-lineage-") as scratch:
                fetch_artifact(entry.uri, Path(scratch))
        except IntegrityError as error:
            found.state, found.told = "changed", str(error)
    return found, manifest


def _outside(entry: InputEntry, *, verify: bool) -> Ancestor:
    store = open_store(entry.uri)
    found = Ancestor(entry.uri, entry.sha256, "source")
    for file in entry.files:
        state: State = "there"
        if not store.exists(file.uri):
            state = "gone"
        elif verify and store.content_hash(file.uri) != file.hash:
            state = "changed"
        found.files.append(File(file.uri, file.hash, state))
    if not found.files:
        found.told = "its files were not recorded"
    states = {file.state for file in found.files}
    found.state = "changed" if "changed" in states else "gone" if "gone" in states else "there"
    return found


def _state(entry: InputEntry) -> State:
    try:
        return "there" if read_manifest(entry.uri).sha256 == entry.sha256 else "changed"
    except FileNotFoundError:
        return "gone"
    except RecloopError:
        return "changed"
