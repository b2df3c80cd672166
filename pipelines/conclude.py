"""`python -m pipelines.conclude`: the exit handler. Says in one line how a run ended: which model came of it,
or which stage failed, why, and whether to try again. What alerts match is this line's beginning."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from components.catalog import STAGES
from components.core.errors import RecloopError
from components.core.recipe import Recipe
from components.core.runs import StageRecord, read_record, record_place
from pipelines import RUN_ID
from pipelines.interface import MESSAGE, STATUS
from pipelines.plan import check_compiled, recipe_of
from pipelines.protocol import Task

_REASON_LENGTH = 600


def main(arguments: Sequence[str] | None = None) -> int:
    """Conclude a run; the argument is KFP's executor input. Never fails: the run has ended anyway."""
    (executor_input,) = sys.argv[1:] if arguments is None else arguments
    task = Task.parse(executor_input)
    message = conclude(task.values, os.environ.get(RUN_ID, ""))
    print(message, file=sys.stderr)
    task.finish({MESSAGE: message})
    return 0


def conclude(values: Mapping[str, Any], run_id: str) -> str:
    """How a run ended, in one line.

    Args:
        values: as of the plan, and KFP's own final status.
    """
    status = values.get(STATUS) or {}
    succeeded = status.get("state") == "SUCCEEDED"
    try:
        recipe = recipe_of(values)
        check_compiled(recipe, values)
        places = [record_place(recipe, run_id, position, spec.name) for position, spec in enumerate(STAGES)]
        records = [read_record(place) for place in places] if run_id else []
    except RecloopError as error:  # what the plan failed of, or the end of a store that worked before
        return _line(succeeded, "", run_id, _fact(error.retryable, str(error)))
    said = (status.get("error") or {}).get("message")
    text = _outcome(recipe, records) if succeeded else _failure(records, said)
    return _line(succeeded, recipe.name, run_id, text)


def _outcome(recipe: Recipe, records: Sequence[StageRecord | None]) -> str:
    done = {record.stage: record for record in records if record}
    metrics = {name: value for record in done.values() for name, value in (record.metrics or {}).items()}
    if "register" not in done:
        return "every stage is done"
    became = "made champion" if metrics["promoted"] else "registered as challenger; the champion stays"
    shown = recipe.promotion.metric
    measured = f", {shown} {metrics[shown]:.4f}" if shown in metrics else ""
    skipped = ", ".join(record.stage for record in done.values() if record.status == "skipped")
    already = f"; already done: {skipped}" if skipped else ""
    return f"version {metrics['version']:.0f} of {recipe.model_name} was {became}{measured}{already}"


def _failure(records: Sequence[StageRecord | None], said: str | None) -> str:
    failed = next((record for record in records if record and record.status == "failed"), None)
    if failed:
        return f"at {failed.stage}: {_fact(_is_retryable(failed.error), failed.error)}"
    started = [position for position, record in enumerate(records) if record]
    if not started:
        return f"before any stage left a record; see the log of the plan and of ingest{_because(said)}"
    last = STAGES[min(started[-1] + 1, len(STAGES) - 1)].name
    return (
        f"at {last}, which left no record: its container never started or was ended from outside (memory, "
        f"deadline, eviction); try again{_because(said)}"
    )


def _because(said: str | None) -> str:
    return f"; Kubeflow says: {_short(said)}" if said else ""


def _fact(retryable: bool, reason: str) -> str:
    advice = "try again" if retryable else "trying again will not help"
    return f"{_short(reason)} ({advice})"


def _is_retryable(error: str) -> bool:
    """A record's error begins with its kind; what is none of ours is a crash."""
    kind = error.partition(":")[0]
    kinds = {one.__name__: one.retryable for one in RecloopError.__subclasses__()}
    return kinds.get(f"{kind}Error", True)


def _short(reason: str) -> str:
    """One line: how it starts, and its end, where a traceback has the error."""
    line = " ".join(reason.split())
    if len(line) <= _REASON_LENGTH:
        return line
    return f"{line[: _REASON_LENGTH // 4]} … {line[-3 * _REASON_LENGTH // 4 :]}"


def _line(succeeded: bool, recipe: str, run_id: str, text: str) -> str:
    words = ("recloop", "SUCCEEDED" if succeeded else "FAILED", recipe, "run", run_id)
    return f"{' '.join(filter(None, words))}: {text}"


if __name__ == "__main__":
    sys.exit(main())
