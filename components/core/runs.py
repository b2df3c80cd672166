"""How a recipe becomes six stage invocations, and what is remembered of a run."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from components.core.errors import GateFailedError, IntegrityError, RecloopError
from components.core.gates import Gate
from components.core.recipe import Recipe
from components.core.stage import StageResult, StageSpec
from components.core.store import join, open_store
from components.core.strategy import Config

_LAST = {"register", "promote"}  # the second where somebody was asked


@dataclass(frozen=True)
class Invocation:
    """One stage, ready to run: in this process, as a command, or in a container."""

    spec: StageSpec
    params: Config
    inputs: Mapping[str, str]
    output: str
    record: str = ""  # URI of the StageRecord that the command leaves

    def command(self, python: str = "python") -> list[str]:
        """The command line; the same for a terminal, an operator and a container."""
        arguments = [python, "-m", f"components.{self.spec.name}", "--params", self.params.model_dump_json()]
        for name, uri in self.inputs.items():
            arguments += [f"--in-{name}", uri]
        arguments += [f"--out-{self.spec.output}", self.output]
        return [*arguments, "--record", self.record] if self.record else arguments


def plan(recipe: Recipe, spec: StageSpec, artifacts: Mapping[str, str], record: str = "") -> Invocation:
    """What to invoke for one stage of a recipe.

    Args:
        artifacts: artifact name → URI, for the stages that ran before.
        record: where the command is to leave its record (see `record_place`).
    """
    inputs = {entry.name: artifacts[entry.name] for entry in spec.inputs if entry.required}
    outside = recipe.locations()
    inputs |= {
        entry.name: outside[entry.name] for entry in spec.inputs if entry.is_outside and entry.name in outside
    }
    output = join(recipe.workspace_uri, recipe.name, spec.output, "{key}")
    return Invocation(spec, recipe.stage_params()[spec.name], inputs, output, record)


def check_workspace(recipe: Recipe) -> None:
    """Find out before any work whether artifacts can be written.

    Raises:
        RecloopError: they cannot; of the kind that the store raised.
    """
    probe = join(recipe.workspace_uri, recipe.name, ".writable")
    try:
        open_store(probe).write_bytes(probe, b"")
    except RecloopError as error:
        raise type(error)(f"workspace {recipe.workspace_uri}: {error}") from error


def slug(run_id: str) -> str:
    """A run id that may stand in a path: Airflow's hold `:` and `+`."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", run_id).strip("-.")


def new_run_id(now: datetime | None = None) -> str:
    """An id for a run without an orchestrator: sorts by time."""
    return (now or datetime.now(UTC)).strftime("manual-%Y%m%dT%H%M%S-%fZ")


@dataclass(frozen=True)
class StageRecord:
    """What one stage of one run did."""

    stage: str
    status: str  # done | skipped | failed
    started: str
    seconds: float
    uri: str = ""
    sha256: str = ""
    metrics: Mapping[str, float] | None = None
    error: str = ""
    gates: Sequence[Mapping[str, Any]] = field(default_factory=list)  # documents, see `Gate.document`

    @classmethod
    def of(cls, result: StageResult, started: datetime) -> "StageRecord":
        return cls(
            stage=result.stage,
            status="skipped" if result.skipped else "done",
            started=started.isoformat(timespec="milliseconds"),
            seconds=result.seconds,
            uri=result.uri,
            sha256=result.sha256,
            metrics=dict(result.metrics),
            gates=list(result.gates),
        )

    @classmethod
    def failed(
        cls, stage: str, reason: str, started: datetime, error: BaseException | None = None
    ) -> "StageRecord":
        """What is remembered of a failure; of a gate's, the gates that were looked at, and always one that
        stopped."""
        gates: list[Gate] = list(getattr(error, "gates", ()))
        if isinstance(error, GateFailedError) and all(gate.outcome != "stopped" for gate in gates):
            first, *_ = reason.splitlines() or [""]
            gates.append(Gate(name="gate", subject=stage, passed=False, told=first))
        seconds = (datetime.now(UTC) - started).total_seconds()
        return cls(
            stage=stage,
            status="failed",
            started=started.isoformat(timespec="milliseconds"),
            seconds=round(seconds, 3),
            error=reason,
            gates=[gate.document() for gate in gates],
        )


@dataclass(frozen=True)
class RunRecord:
    """A run as its stages left it."""

    run_id: str
    stages: Sequence[StageRecord]

    @property
    def status(self) -> str:
        """done, failed, or unfinished."""
        if any(record.status == "failed" for record in self.stages):
            return "failed"
        return "done" if self.stages and self.stages[-1].stage in _LAST else "unfinished"


def record_place(recipe: Recipe, run_id: str, position: int, stage: str) -> str:
    """Where the record of one stage of a run lies; `position` counts the stages from 0."""
    return record_in(runs_place(recipe), run_id, position, stage)


def record_in(runs: str, run_id: str, position: int, stage: str) -> str:
    """`record_place` for those who know no recipe, only the place of its runs."""
    return join(runs, slug(run_id), f"{position}-{stage}.json")


def write_record(place: str, record: StageRecord) -> None:
    """Remember what a stage did."""
    open_store(place).write_bytes(place, json.dumps(record.__dict__, sort_keys=True).encode())


def read_record(place: str) -> StageRecord | None:
    """What a stage left at `place`; None where there is nothing.

    Raises:
        IntegrityError: something else lies there.
    """
    try:
        return StageRecord(**json.loads(open_store(place).read_bytes(place)))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise IntegrityError(f"{place}: not the record of a stage; delete it") from error


def read_runs(recipe: Recipe) -> list[RunRecord]:
    """Every run of a recipe, the newest first."""
    root = runs_place(recipe)
    runs: dict[str, list[StageRecord]] = {}
    for place in open_store(root).list_files(root):
        record = read_record(place)
        if record is not None:
            runs.setdefault(place.split("/")[-2], []).append(record)
    records = [RunRecord(run_id, entries) for run_id, entries in runs.items()]
    return sorted(records, key=lambda run: (run.stages[0].started, run.run_id), reverse=True)


def runs_place(recipe: Recipe) -> str:
    """URI under which the records of a recipe's runs lie."""
    return join(recipe.workspace_uri, recipe.name, "runs")
