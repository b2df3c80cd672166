"""`recloop runs` and `recloop report`: what has been run."""

import tempfile
import webbrowser
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from components.catalog import STAGES
from components.cli.output import console, print_table
from components.core.errors import InvalidInputError
from components.core.recipe import Recipe
from components.core.runs import RunRecord
from components.core.store import name_of, open_store

_MARKS = {"done": "✓", "skipped": "=", "failed": "✗", None: "·"}


def print_runs(recipe: Recipe, runs: Sequence[RunRecord]) -> None:
    """A table of runs, and what its marks mean."""
    if not runs:
        console().print(f"{recipe.name} has not run in {recipe.workspace_uri}.", soft_wrap=True, markup=False)
        return
    metric = recipe.promotion.metric
    print_table(
        ("run", "started", "status", "stages", metric, "seconds"),
        [
            (
                run.run_id,
                run.stages[0].started.replace("T", " ")[:16],
                run.status,
                _marks(run),
                _metric(run, metric),
                f"{_seconds(run):.1f}",
            )
            for run in runs
        ],
        right=(metric, "seconds"),
    )
    stages = ", ".join(spec.name for spec in STAGES)
    console().print(
        f"stages: {stages}; ✓ done, = already done, ✗ failed, · not run", style="dim", soft_wrap=True
    )
    failed = next((record for record in runs[0].stages if record.status == "failed"), None)
    if failed:
        console().print(f"{failed.stage}: {failed.error}", style="red", soft_wrap=True, markup=False)


def find_run(recipe: Recipe, runs: Sequence[RunRecord], run_id: str | None) -> RunRecord:
    """The run of that id, else the newest that was evaluated.

    Raises:
        InvalidInputError: there is none, or it was not evaluated; says how far it came.
    """
    if run_id is None:
        found = next((run for run in runs if _evaluated(run)), None)
        if found is None:
            raise InvalidInputError(
                f"{recipe.name}: no run in {recipe.workspace_uri} was evaluated"
                + (f"; {_end(runs[0])}" if runs else "")
            )
        return found
    named = [run for run in runs if run.run_id == run_id]
    if not named:
        known = ", ".join(run.run_id for run in runs[:5]) or "none"
        raise InvalidInputError(
            f"{recipe.name}: got run {run_id!r}, need one of its runs (the newest: {known})"
        )
    if not _evaluated(named[0]):
        raise InvalidInputError(_end(named[0]))
    return named[0]


def open_page(uri: str) -> None:
    """Show a page in the browser; one in S3 is brought here first."""
    target = Path(tempfile.mkdtemp(prefix="recloop-report-")) if "://" in uri else Path(uri).parent
    path = open_store(uri).fetch(uri, target / name_of(uri))
    webbrowser.open(path.absolute().as_uri())


def _evaluated(run: RunRecord) -> bool:
    return any(record.stage == "evaluate" and record.uri for record in run.stages)


def _end(run: RunRecord) -> str:
    last = run.stages[-1]
    return f"run {run.run_id} ended with {last.stage} {last.status}" + (
        f": {last.error}" if last.error else ""
    )


def _marks(run: RunRecord) -> str:
    status = {record.stage: record.status for record in run.stages}
    return "".join(_MARKS[status.get(spec.name)] for spec in STAGES)


def _metric(run: RunRecord, name: str) -> str:
    values = [(record.metrics or {}).get(name) for record in run.stages if record.stage == "evaluate"]
    return f"{values[0]:.4f}" if values and values[0] is not None else ""


def _seconds(run: RunRecord) -> float:
    """From the first stage's start to the last one's end."""
    first, last = run.stages[0], run.stages[-1]
    spent = datetime.fromisoformat(last.started) - datetime.fromisoformat(first.started)
    return (spent + timedelta(seconds=last.seconds)).total_seconds()
