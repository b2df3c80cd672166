"""What a stage is, and what it leaves."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel

from components.core.checkpoint import Checkpoint
from components.core.manifest import InputEntry
from components.core.strategy import Config, load_object


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

    @property
    def is_outside(self) -> bool:
        """Whether it comes from no stage of the run: the recipe names it, or does without."""
        return not self.required and self.default is None


class _Tasked(BaseModel):
    """As much of parameters as tells whose they are; rankings' need not say it."""

    task: str | None = None


@dataclass(frozen=True, kw_only=True)
class StageSpec:
    """All that an orchestrator needs to know of a stage.

    Attributes:
        params: of a stage whose work depends on the recipe's task, one for each; their `task` tells them
            apart.
        run, contract: lazy paths, in which `{task}` stands for that of the parameters.
    """

    name: str
    params: type[Config] | tuple[type[Config], ...]
    inputs: tuple[InputSpec, ...]
    output: str
    run: str
    contract: str
    image: str
    resources: Resources = Resources()

    def parse(self, text: str | bytes) -> Config:
        """The stage's parameters from JSON.

        Raises:
            ValidationError: these are none.
        """
        if not isinstance(self.params, tuple):
            return self.params.model_validate_json(text)
        by_task = {params.model_fields["task"].default: params for params in self.params}
        task = _Tasked.model_validate_json(text).task
        return by_task.get(task, self.params[0]).model_validate_json(text)

    def load_run(self, params: Config) -> "Run":
        """The implementation for these parameters."""
        return load_object(_of_task(self.run, params))  # type: ignore[no-any-return]  # the path is data

    def load_contract(self, params: Config) -> "Contract":
        """The contract of what the stage makes of these parameters."""
        return load_object(_of_task(self.contract, params))  # type: ignore[no-any-return]

    @property
    def runs(self) -> tuple[str, ...]:
        """The lazy paths of all implementations."""
        return self._of_all_tasks(self.run)

    @property
    def contracts(self) -> tuple[str, ...]:
        """The lazy paths of all contracts."""
        return self._of_all_tasks(self.contract)

    def _of_all_tasks(self, path: str) -> tuple[str, ...]:
        if not isinstance(self.params, tuple):
            return (path,)
        tasks = [str(params.model_fields["task"].default) for params in self.params]
        return tuple(dict.fromkeys(path.replace("{task}", task) for task in tasks))


def _of_task(path: str, params: Config) -> str:
    return path.replace("{task}", getattr(params, "task", ""))


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
