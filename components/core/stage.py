"""The harness around every stage: fetch, verify, run, validate, publish, manifest last."""

import dataclasses
import json
import logging
import os
import platform
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from components.core.checkpoint import Checkpoint
from components.core.errors import (
    ConflictError,
    GateFailedError,
    InfrastructureError,
    IntegrityError,
    InvalidInputError,
    RecloopError,
)
from components.core.gates import Gate, gates_of, warnings_of
from components.core.hashing import cache_key, code_version, sha256_json
from components.core.manifest import (
    MANIFEST,
    InputEntry,
    Manifest,
    RawFile,
    describe_files,
    fetch_artifact,
    git_sha,
    package_versions,
    read_manifest,
)
from components.core.store import Lock, is_disk_full, join, name_of, open_store
from components.core.strategy import Config, load_object

logger = logging.getLogger(__name__)
KEY_LENGTH = 16  # hex digits of the cache key that stand in a URI


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one task of a stage needs."""

    cpu: float = 2
    memory_gib: float = 4
    gpu: bool = False  # whether it can use one


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """One input.

    Attributes:
        artifact: name of the artifact it must be; None for raw data from outside.
        required: whether the command must name it.
        keyed: whether its content is part of the cache key. The champion's is not: it is recorded as
            what it was when the decision was made, so a model that was decided stays decided.
        default: lazy path of a `Find`, asked when the command does not name the input.
    """

    name: str
    artifact: str | None
    required: bool = True
    keyed: bool = True
    default: str | None = None


@dataclass(frozen=True, kw_only=True)
class StageSpec:
    """All that an orchestrator needs to know of a stage. `run` and `contract` are lazy paths."""

    name: str
    params: type[Config]
    inputs: tuple[InputSpec, ...]
    output: str
    run: str
    contract: str
    image: str
    resources: Resources = Resources()


@dataclass(frozen=True)
class Context:
    """What a stage gets besides data: the place for its checkpoints, and where its inputs came from."""

    checkpoint: Checkpoint
    uris: Mapping[str, str] = field(default_factory=dict)


class Find(Protocol):
    """Finds what there was before: from the parameters, and the inputs that the command names, to the URI
    of an artifact; None where there is none."""

    def __call__(self, params: Any, named: Mapping[str, InputEntry]) -> str | None: ...


class Run(Protocol):
    """The pure part of a stage: from input directories to files in `output`; returns its metrics."""

    def __call__(
        self, params: Any, inputs: Mapping[str, Path], output: Path, context: Context
    ) -> Mapping[str, float]: ...


@dataclass(frozen=True)
class Validation:
    """What a contract found in an artifact.

    Attributes:
        tables: file name → (rows, schema fingerprint).
        summary: for the manifest: expectations by table, how many, all met; `gates`, the documents of
            the gates (see `components.core.gates`).
        columns: file name → column → its type.
    """

    tables: Mapping[str, tuple[int, str]]
    summary: Mapping[str, Any]
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class Contract(Protocol):
    """Checks a finished output, also against what the stage had for inputs.

    Args:
        inputs: input name → its directory, as `Run` got them.
        docs: directory for what people read: `data_docs/index.html`, `gates.parquet`. It is published
            beside the artifact.

    Raises:
        GateFailedError: naming each failed gate or expectation, the column and sample values.
    """

    def __call__(self, output: Path, params: Any, inputs: Mapping[str, Path], docs: Path) -> Validation: ...


@dataclass(frozen=True)
class StageResult:
    """Where a stage's artifact is, and what its gates found (see `Gate.document`)."""

    stage: str
    uri: str
    sha256: str
    metrics: Mapping[str, float]
    skipped: bool
    seconds: float
    gates: Sequence[Mapping[str, Any]] = ()

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True)


def execute(spec: StageSpec, params: Config, inputs: Mapping[str, str], output: str) -> StageResult:
    """Run one stage, unless its work is done already.

    Args:
        spec: the stage.
        params: an instance of `spec.params`.
        inputs: input name → URI. A raw input's URI may be a file, a directory, a glob or a prefix; for a
            stage with several raw inputs only some may be given.
        output: URI of the artifact; `{key}` in it is filled in.

    Raises:
        RecloopError: one of its kinds; then nothing finished stands at the output. What a failed gate
            found is kept at `<output>.failed`; what the contract of a finished artifact found, at
            `<output>.checks`.
    """
    started = datetime.now(UTC)
    _check_names(spec, inputs)
    found = {name: _identify(_input(spec, name), uri) for name, uri in inputs.items()}
    keyed = {name: entry.sha256 for name, entry in found.items() if _input(spec, name).keyed}
    key = cache_key(spec.name, params.identity(), code_version(), keyed)
    uri = output.rstrip("/").replace("{key}", key[:KEY_LENGTH])
    store = open_store(uri)

    done = _finished(spec, uri, key, started)
    if done:
        return done
    with store.lock(uri) as lock:
        done = _finished(spec, uri, key, started)  # by whoever held the lock before us
        if done:
            return done
        logger.info("started; the output goes to %s", uri)
        for name, place in _defaults(spec, params, found).items():
            found.setdefault(name, _identify(_input(spec, name), place))
        try:
            manifest = _produce(spec, params, found, lock, key=key, uri=uri, started=started)
        except RecloopError:
            raise
        except ModuleNotFoundError as error:
            if (error.name or "components").startswith("components"):
                raise
            raise InvalidInputError(
                f"{spec.name}: needs the package {error.name!r}, which is not installed; "
                "pip install 'recloop[all]'"
            ) from error
        except Exception as error:
            if is_disk_full(error):
                raise InfrastructureError(f"{uri}: the disk is full") from error
            raise
    return _result(spec, uri, manifest, skipped=False, started=started)


def _produce(
    spec: StageSpec,
    params: Config,
    inputs: Mapping[str, InputEntry],
    lock: Lock,
    *,
    key: str,
    uri: str,
    started: datetime,
) -> Manifest:
    """Fetch, run, validate, publish. `lock` is on `uri`."""
    store = open_store(uri)
    with store.scratch(uri) as scratch:
        local = _fetch_inputs(spec, inputs, scratch / "inputs")
        directory, docs = scratch / "output", scratch / "checks"
        directory.mkdir()
        docs.mkdir()
        checkpoint = Checkpoint(uri, scratch, key, lock)
        try:
            run: Run = load_object(spec.run)
            uris = {name: entry.uri for name, entry in inputs.items()}
            metrics = run(params, local, directory, Context(checkpoint, uris))
            _check_unchanged(spec, inputs)
            contract: Contract = load_object(spec.contract)
            validation = contract(directory, params, local, docs)
            _tell_warnings(gates_of(validation.summary))
        except GateFailedError as error:
            _tell_warnings(error.gates)
            shutil.move(directory, docs / "output")
            lock.check()
            store.upload(docs, f"{uri}.failed")
            raise GateFailedError(f"{error}\nwhat was found is kept at {uri}.failed", error.gates) from error
        manifest = Manifest(
            stage=spec.name,
            artifact=spec.output,
            key=key,
            params=params.model_dump(mode="json"),
            code_version=code_version(),
            git_sha=git_sha(),
            image_digest=os.environ.get("RECLOOP_IMAGE_DIGEST"),
            inputs=dict(inputs),
            files=describe_files(directory, validation.tables, validation.columns),
            metrics=dict(metrics),
            validation=dict(validation.summary),
            seed=getattr(params, "seed", None),
            device=_device(),
            packages=package_versions(),
            started=started,
            ended=datetime.now(UTC),
        )
        lock.check()
        if any(docs.iterdir()):
            store.upload(docs, f"{uri}.checks")
        store.upload(directory, uri)
        lock.check()
        store.write_bytes(join(uri, MANIFEST), manifest.to_json())
        try:
            checkpoint.discard()
        except RecloopError as error:  # the artifact stands; what is left does no harm
            logger.warning("the checkpoint stays: %s", error)
    return manifest


def _tell_warnings(gates: Iterable[Gate]) -> None:
    for warning in warnings_of(gates):
        logger.warning("a gate warns: %s", warning)


def _input(spec: StageSpec, name: str) -> InputSpec:
    for entry in spec.inputs:
        if entry.name == name:
            return entry
    raise InvalidInputError(f"{spec.name}: unknown input {name!r}; allowed: {[i.name for i in spec.inputs]}")


def _check_names(spec: StageSpec, inputs: Mapping[str, str]) -> None:
    for name in inputs:
        _input(spec, name)
    for entry in spec.inputs:
        if entry.required and entry.name not in inputs:
            raise InvalidInputError(f"{spec.name}: input {entry.name!r} is missing")


def _defaults(spec: StageSpec, params: Config, named: Mapping[str, InputEntry]) -> dict[str, str]:
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


def _identify(entry: InputSpec, uri: str) -> InputEntry:
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


def _fetch_inputs(spec: StageSpec, inputs: Mapping[str, InputEntry], root: Path) -> dict[str, Path]:
    local = {}
    for name, entry in inputs.items():
        target = root / name
        if _input(spec, name).artifact is None:
            local[name] = _fetch_raw(name, entry.uri, target)
        else:
            local[name], manifest = fetch_artifact(entry.uri, target)
            if manifest.sha256 != entry.sha256:
                raise IntegrityError(f"{entry.uri}: changed while it was read")
    return local


def _check_unchanged(spec: StageSpec, inputs: Mapping[str, InputEntry]) -> None:
    """Raw data may be rewritten while it is read; then the result belongs to no delivery."""
    for name, entry in inputs.items():
        expected = _input(spec, name)
        if expected.artifact is None and _identify(expected, entry.uri).sha256 != entry.sha256:
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


def _finished(spec: StageSpec, uri: str, key: str, started: datetime) -> StageResult | None:
    try:
        manifest = read_manifest(uri)
    except FileNotFoundError:
        return None
    for name in manifest.files:
        if not open_store(uri).exists(join(uri, name)):
            raise IntegrityError(
                f"{join(uri, name)}: is missing, though the manifest names it; "
                f"delete {uri} to have it made again"
            )
    if manifest.key != key:
        raise ConflictError(
            f"{uri}: holds the result of other work (key {manifest.key[:KEY_LENGTH]}, this is "
            f"{key[:KEY_LENGTH]}); give another output, artifacts are never overwritten"
        )
    return _result(spec, uri, manifest, skipped=True, started=started)


def _result(
    spec: StageSpec, uri: str, manifest: Manifest, *, skipped: bool, started: datetime
) -> StageResult:
    return StageResult(
        stage=spec.name,
        uri=uri,
        sha256=manifest.sha256,
        metrics=manifest.metrics,
        skipped=skipped,
        gates=tuple(manifest.validation.get("gates", ())),
        seconds=round((datetime.now(UTC) - started).total_seconds(), 3),
    )


def _device() -> str:
    torch = sys.modules.get("torch")  # the harness itself never imports it
    if torch is not None and torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return platform.machine()
