"""A stage's inputs: which they are, what they hold, and where they lie for the stage to read."""

from collections.abc import Mapping
from pathlib import Path

from components.core.errors import IntegrityError, InvalidInputError
from components.core.hashing import sha256_json
from components.core.manifest import InputEntry, RawFile, fetch_artifact, read_manifest
from components.core.spec import Find, InputSpec, StageSpec
from components.core.store import name_of, open_store
from components.core.strategy import Config, load_object


def input_of(spec: StageSpec, name: str) -> InputSpec:
    """The input of that name.

    Raises:
        InvalidInputError: the stage has none.
    """
    for entry in spec.inputs:
        if entry.name == name:
            return entry
    raise InvalidInputError(f"{spec.name}: unknown input {name!r}; allowed: {[i.name for i in spec.inputs]}")


def check_names(spec: StageSpec, inputs: Mapping[str, str]) -> None:
    """See that every input is one of the stage's, and none is missing."""
    for name in inputs:
        input_of(spec, name)
    for entry in spec.inputs:
        if entry.required and entry.name not in inputs:
            raise InvalidInputError(f"{spec.name}: input {entry.name!r} is missing")


def find_defaults(spec: StageSpec, params: Config, named: Mapping[str, InputEntry]) -> dict[str, str]:
    """URIs of the inputs that the command need not name. They are never part of the cache key, so
    nobody is asked for them where the work is done already."""
    uris = {}
    for entry in spec.inputs:
        if entry.default:
            assert not entry.keyed
            find: Find = load_object(entry.default)
            uri = find(params, named)
            if uri:
                uris[entry.name] = uri
    return uris


def identify(entry: InputSpec, uri: str) -> InputEntry:
    """An input with its content hash, and a check that it is what the stage expects."""
    if entry.artifact is None:
        store = open_store(uri)
        files = [RawFile(uri=file, hash=store.content_hash(file)) for file in _raw_files(entry.name, uri)]
        sha256 = sha256_json([(name_of(file.uri), file.hash) for file in files])  # wherever they lie
        return InputEntry(uri=uri, sha256=sha256, files=tuple(files))
    try:
        manifest = read_manifest(uri)
    except FileNotFoundError as error:
        raise InvalidInputError(f"{entry.name}: there is no finished artifact at {uri}") from error
    if manifest.artifact != entry.artifact:
        raise InvalidInputError(f"{entry.name}: {uri} is a {manifest.artifact}, need a {entry.artifact}")
    return InputEntry(uri=uri, sha256=manifest.sha256)


def _raw_files(name: str, uri: str) -> list[str]:
    files = open_store(uri).list_files(uri)
    if not files:
        raise InvalidInputError(f"{name}: nothing found at {uri}")
    return files


def fetch_inputs(spec: StageSpec, inputs: Mapping[str, InputEntry], root: Path) -> dict[str, Path]:
    """Input name → a local directory with what it holds, below `root` where it must be copied.

    Raises:
        IntegrityError: an artifact is not what it was when the stage was started.
    """
    local = {}
    for name, entry in inputs.items():
        target = root / name
        if input_of(spec, name).artifact is None:
            local[name] = _fetch_raw(name, entry.uri, target)
        else:
            local[name], manifest = fetch_artifact(entry.uri, target)
            if manifest.sha256 != entry.sha256:
                raise IntegrityError(f"{entry.uri}: changed while it was read")
    return local


def check_unchanged(spec: StageSpec, inputs: Mapping[str, InputEntry]) -> None:
    """Raw data may be rewritten while it is read; then the result belongs to no delivery."""
    for name, entry in inputs.items():
        expected = input_of(spec, name)
        if expected.artifact is None and identify(expected, entry.uri).sha256 != entry.sha256:
            raise IntegrityError(
                f"{name}: {entry.uri} changed while it was read; run again when it is complete"
            )


def _fetch_raw(name: str, uri: str, target: Path) -> Path:
    """A directory with every raw file under its own name, below a number that keeps their order."""
    store = open_store(uri)
    for number, file in enumerate(_raw_files(name, uri)):
        place = target / f"{number:05d}" / name_of(file)
        place.parent.mkdir(parents=True)
        path = store.fetch(file, place)
        if path != place:
            place.symlink_to(path.absolute())
    return target
