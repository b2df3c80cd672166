"""`recloop run`: the stages of a recipe, one after the other, in this process."""

import signal
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import FrameType

from rich.text import Text

from components.catalog import STAGES
from components.cli.output import Logs, number
from components.core.errors import RecloopError
from components.core.observing import Observation, Watched
from components.core.progress import error_console
from components.core.recipe import Recipe
from components.core.runs import StageRecord, check_workspace, new_run_id, plan, record_place, write_record
from components.core.stage import StageResult, StageSpec, execute

_SHOWN_METRICS = 4
_TELLING = (
    *("version", "promoted"),
    *("rows", "users", "items", "examples"),
    *("train", "valid", "test", "fields"),
    *("epochs", "best_epoch"),
)
_COLOURS = {"done": "green", "skipped": "cyan", "failed": "red"}


def run_stages(recipe: Recipe, until: str | None, logs: Logs) -> tuple[str, list[StageRecord]]:
    """Run a recipe up to and including `until`.

    Returns:
        The run's id, and what each stage did.

    Raises:
        RecloopError: a stage's. What it did so far is remembered, and stays.
        KeyboardInterrupt: the same.
    """
    check_workspace(recipe)
    run_id = new_run_id()
    artifacts: dict[str, str] = {}
    records: list[StageRecord] = []
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        for position, spec in enumerate(STAGES):
            logs.stage = spec.name
            record = _run_stage(recipe, run_id, position, spec, artifacts)
            records.append(record)
            artifacts[spec.output] = record.uri
            if spec.name == until:
                break
    finally:
        signal.signal(signal.SIGTERM, before)
    return run_id, records


def _run_stage(
    recipe: Recipe, run_id: str, position: int, spec: StageSpec, artifacts: Mapping[str, str]
) -> StageRecord:
    started = datetime.now(UTC)
    todo = plan(recipe, spec, artifacts, record_place(recipe, run_id, position, spec.name))
    observation = Observation(Watched(spec=spec, inputs=todo.inputs, place=todo.record, started=started))
    try:
        result = execute(spec, todo.params, todo.inputs, todo.output)
    except BaseException as error:
        reason = str(error) if isinstance(error, Exception) else "interrupted"
        failed = StageRecord.failed(spec.name, reason, started, error)
        _remember(todo.record, failed)
        _tell(spec.name, "failed", "")
        observation.end(failed)
        raise
    record = StageRecord.of(result, started)
    write_record(todo.record, record)
    _tell(spec.name, record.status, _summary(recipe, result))
    observation.end(record)
    return record


def _remember(place: str, record: StageRecord) -> None:
    try:
        write_record(place, record)
    except RecloopError as error:  # a full disk, say: what failed first is what must be told
        error_console().print(f"The run could not be recorded: {error}", soft_wrap=True, markup=False)


def _tell(stage: str, status: str, summary: str) -> None:
    shown = {"skipped": "already done"}.get(status, status)
    line = Text(f"{stage:<9}") + Text(f"{shown:<13}", style=_COLOURS[status]) + Text(summary)
    line.rstrip()
    error_console().print(line, soft_wrap=True)


def _summary(recipe: Recipe, result: StageResult) -> str:
    shown = [f"{name} {number(result.metrics[name])}" for name in key_metrics(recipe, result.metrics)]
    return "  ".join([f"{result.seconds:>6.1f} s", ", ".join(shown)])


def key_metrics(recipe: Recipe, metrics: Mapping[str, float]) -> Sequence[str]:
    """Names of the few metrics that tell most about a stage."""
    validated = [name for name in metrics if name.startswith("valid_")]
    telling = (recipe.promotion.metric, *validated, *_TELLING)
    ordered = [name for name in telling if name in metrics]
    ordered += [name for name in metrics if name not in ordered and "seconds" not in name]
    return ordered[:_SHOWN_METRICS]


def _stop(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)  # unwinds: scratch is removed, the lock let go
