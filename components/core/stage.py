"""The harness around every stage: parse, fetch, verify, run, validate, publish, manifest last.

    python -m components.<stage> --params JSON|URI --in-<name> URI … --out-<name> URI

`{key}` in the output's URI becomes the head of the cache key. The last line on standard output is one
JSON object that says where the artifact is; everything else goes to standard error.
"""

import argparse
import dataclasses
import errno
import json
import logging
import os
import platform
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from components.core.checkpoint import Checkpoint
from components.core.errors import (
    ConflictError,
    GateFailedError,
    InfrastructureError,
    IntegrityError,
    InvalidInputError,
    RecloopError,
)
from components.core.hashing import cache_key, code_version, sha256_json
from components.core.manifest import (
    MANIFEST,
    InputEntry,
    Manifest,
    describe_files,
    fetch_artifact,
    git_sha,
    package_versions,
    read_manifest,
)
from components.core.store import join, name_of, open_store
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
        default: lazy path of a function from the stage's parameters to a URI or None, asked when the
            command does not name the input.
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
    """What a stage gets besides data: the place for its checkpoints."""

    checkpoint: Checkpoint


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
        summary: for the manifest: expectations by table, how many, all met.
    """

    tables: Mapping[str, tuple[int, str]]
    summary: Mapping[str, Any]


class Contract(Protocol):
    """Checks a finished output. On a failed expectation it writes Data Docs into `docs` and raises
    GateFailedError naming the expectation, the column and sample values."""

    def __call__(self, output: Path, params: Any, docs: Path) -> Validation: ...


@dataclass(frozen=True)
class StageResult:
    """Where a stage's artifact is."""

    stage: str
    uri: str
    sha256: str
    metrics: Mapping[str, float]
    skipped: bool
    seconds: float

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
            found is kept at `<output>.failed`.
    """
    started = datetime.now(UTC)
    uris = _complete(spec, params, inputs)
    found = {name: _identify(_input(spec, name), uri) for name, uri in uris.items()}
    keyed = {name: sha for name, sha in found.items() if _input(spec, name).keyed}
    key = cache_key(spec.name, params.identity(), code_version(), keyed)
    uri = output.replace("{key}", key[:KEY_LENGTH])
    store = open_store(uri)

    done = _finished(spec, uri, key, started)
    if done:
        return done
    with store.lock(uri):
        done = _finished(spec, uri, key, started)  # by whoever held the lock before us
        if done:
            return done
        with store.scratch(uri) as scratch:
            local, entries = _fetch_inputs(spec, uris, found, scratch / "inputs")
            directory, docs = scratch / "output", scratch / "failed"
            directory.mkdir()
            docs.mkdir()
            checkpoint = Checkpoint(uri, scratch)
            try:
                run: Run = load_object(spec.run)
                metrics = run(params, local, directory, Context(checkpoint))
                contract: Contract = load_object(spec.contract)
                validation = contract(directory, params, docs / "data_docs")
            except GateFailedError as error:
                shutil.move(directory, docs / "output")
                store.upload(docs, f"{uri}.failed")
                raise GateFailedError(f"{error}\nwhat was found is kept at {uri}.failed") from error
            except OSError as error:
                if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                    raise InfrastructureError(f"{uri}: the disk is full") from error
                raise
            manifest = Manifest(
                stage=spec.name,
                artifact=spec.output,
                key=key,
                params=params.model_dump(mode="json"),
                code_version=code_version(),
                git_sha=git_sha(),
                image_digest=os.environ.get("RECLOOP_IMAGE_DIGEST"),
                inputs=entries,
                files=describe_files(directory, validation.tables),
                metrics=dict(metrics),
                validation=dict(validation.summary),
                seed=getattr(params, "seed", None),
                device=_device(),
                packages=package_versions(),
                started=started,
                ended=datetime.now(UTC),
            )
            store.upload(directory, uri)
            store.write_bytes(join(uri, MANIFEST), manifest.to_json())
            checkpoint.discard()
    return _result(spec, uri, manifest, skipped=False, started=started)


def main(spec: StageSpec, arguments: Sequence[str] | None = None) -> int:
    """The command of a stage; returns its exit code (see `components.core.errors`)."""
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format=f"%(asctime)s {spec.name}: %(message)s",
        datefmt="%H:%M:%S",
    )
    signal.signal(signal.SIGTERM, _stop)
    parser = _parser(spec)
    options = vars(parser.parse_args(arguments))
    try:
        params = _parse_params(spec, options.pop("params"))
        output = options.pop("output")
        result = execute(spec, params, {name: uri for name, uri in options.items() if uri}, output)
    except RecloopError as error:
        logger.error("%s: %s", type(error).__name__.removesuffix("Error"), error)
        return error.exit_code
    except Exception:
        logger.error("this is a bug in the stage:\n%s", traceback.format_exc())
        return 1
    logger.info("%s %s", "already done:" if result.skipped else "wrote", result.uri)
    print(result.to_json())
    return 0


def _stop(signum: int, _: object) -> None:
    raise SystemExit(128 + signum)  # unwinds: scratch is removed, the lock let go


def _parser(spec: StageSpec) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m components.{spec.name}", allow_abbrev=False)
    parser.add_argument("--params", required=True, help="JSON, or the URI of a JSON file")
    for entry in spec.inputs:
        kind = f"a {entry.artifact} artifact" if entry.artifact else "file, directory, glob or s3:// prefix"
        parser.add_argument(
            f"--in-{entry.name}",
            dest=entry.name,
            required=entry.required,
            metavar="URI",
            help=kind + ("" if entry.required else " (optional)"),
        )
    parser.add_argument(
        f"--out-{spec.output}",
        dest="output",
        required=True,
        metavar="URI",
        help="where the artifact goes; {key} becomes the cache key",
    )
    return parser


def _parse_params(spec: StageSpec, text: str) -> Config:
    if not text.lstrip().startswith("{"):
        try:
            text = open_store(text).read_bytes(text).decode()
        except FileNotFoundError as error:
            raise InvalidInputError(f"--params {text}: no such file, and not JSON") from error
    try:
        return spec.params.model_validate_json(text)
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc']))}: got {e['input']!r}: {e['msg']}" for e in error.errors()]
        raise InvalidInputError("--params:\n" + "\n".join(lines)) from error


def _input(spec: StageSpec, name: str) -> InputSpec:
    for entry in spec.inputs:
        if entry.name == name:
            return entry
    raise InvalidInputError(f"{spec.name}: unknown input {name!r}; allowed: {[i.name for i in spec.inputs]}")


def _complete(spec: StageSpec, params: Config, inputs: Mapping[str, str]) -> dict[str, str]:
    uris = dict(inputs)
    for entry in spec.inputs:
        if entry.name not in uris and entry.default:
            find: Callable[[Config], str | None] = load_object(entry.default)
            uri = find(params)
            if uri:
                uris[entry.name] = uri
        if entry.required and entry.name not in uris:
            raise InvalidInputError(f"{spec.name}: input {entry.name!r} is missing")
    return uris


def _identify(entry: InputSpec, uri: str) -> str:
    """The content hash of an input, and a check that it is what the stage expects."""
    if entry.artifact is None:
        store = open_store(uri)
        with_names = [(name_of(file), store.content_hash(file)) for file in _raw_files(entry.name, uri)]
        return sha256_json(with_names)
    try:
        manifest = read_manifest(uri)
    except FileNotFoundError as error:
        raise InvalidInputError(f"{entry.name}: there is no finished artifact at {uri}") from error
    if manifest.artifact != entry.artifact:
        raise InvalidInputError(f"{entry.name}: {uri} is a {manifest.artifact}, need a {entry.artifact}")
    return manifest.sha256


def _raw_files(name: str, uri: str) -> list[str]:
    files = open_store(uri).list_files(uri)
    if not files:
        raise InvalidInputError(f"{name}: nothing found at {uri}")
    return files


def _fetch_inputs(
    spec: StageSpec, uris: Mapping[str, str], hashes: Mapping[str, str], root: Path
) -> tuple[dict[str, Path], dict[str, InputEntry]]:
    local, entries = {}, {}
    for name, uri in uris.items():
        target = root / name
        if _input(spec, name).artifact is None:
            local[name] = _fetch_raw(name, uri, target)
        else:
            local[name], manifest = fetch_artifact(uri, target)
            if manifest.sha256 != hashes[name]:
                raise IntegrityError(f"{uri}: changed while it was read")
        entries[name] = InputEntry(uri=uri, sha256=hashes[name])
    return local, entries


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
        seconds=round((datetime.now(UTC) - started).total_seconds(), 3),
    )


def _device() -> str:
    torch = sys.modules.get("torch")  # the harness itself never imports it
    if torch is not None and torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return platform.machine()
