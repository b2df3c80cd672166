"""The harness around every stage: fetch, verify, run, validate, publish, manifest last."""

import logging
import os
import platform
import shutil
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

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
from components.core.hashing import cache_key, code_version
from components.core.inputs import (
    check_names,
    check_unchanged,
    fetch_inputs,
    find_defaults,
    identify,
    input_of,
)
from components.core.manifest import (
    MANIFEST,
    InputEntry,
    Manifest,
    describe_files,
    git_sha,
    package_versions,
    read_manifest,
)
from components.core.spec import (
    Context,
    Contract,
    Find,
    InputSpec,
    Resources,
    Run,
    StageResult,
    StageSpec,
    Validation,
)
from components.core.store import Lock, is_disk_full, join, open_store
from components.core.strategy import Config

__all__ = [
    "KEY_LENGTH",
    "Context",
    "Contract",
    "Find",
    "InputSpec",
    "Resources",
    "Run",
    "StageResult",
    "StageSpec",
    "Validation",
    "execute",
]

logger = logging.getLogger(__name__)
KEY_LENGTH = 16  # hex digits of the cache key that stand in a URI


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
    check_names(spec, inputs)
    found = {name: identify(input_of(spec, name), uri) for name, uri in inputs.items()}
    keyed = {name: entry.sha256 for name, entry in found.items() if input_of(spec, name).keyed}
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
        for name, place in find_defaults(spec, params, found).items():
            found.setdefault(name, identify(input_of(spec, name), place))
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
        local = fetch_inputs(spec, inputs, scratch / "inputs")
        directory, docs = scratch / "output", scratch / "checks"
        directory.mkdir()
        docs.mkdir()
        checkpoint = Checkpoint(uri, scratch, key, lock)
        try:
            run = spec.load_run(params)
            uris = {name: entry.uri for name, entry in inputs.items()}
            metrics = run(params, local, directory, Context(checkpoint, uris))
            check_unchanged(spec, inputs)
            contract = spec.load_contract(params)
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
        logger.warning("%s", warning)


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
