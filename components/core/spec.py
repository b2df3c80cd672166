"""What a stage is, and what it leaves."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from components.core.checkpoint import Checkpoint
from components.core.manifest import InputEntry
from components.core.strategy import Config


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
