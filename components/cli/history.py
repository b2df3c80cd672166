"""`recloop runs` and `recloop report`: what has been run."""

import tempfile
import webbrowser
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from components.catalog import STAGES
from components.cli.output import console, print_table
from components.core.errors import InvalidInputError
from components.core.gates import Gate, gates_of
from components.core.recipe import Recipe
from components.core.runs import RunRecord
from components.core.store import name_of, open_store

_MARKS = {"done": "✓", "skipped": "=", "failed": "✗", None: "·"}
_GATE_MARKS = {"warned": "!", "held": "‖", "stopped": "✗"}


def print_runs(recipe: Recipe, runs: Sequence[RunRecord]) -> None:
    """A table of runs, and what its marks mean."""
    if not runs:
        console().print(f"{recipe.name} has not run in {recipe.workspace_uri}.", soft_wrap=True, markup=False)
        return
    metric = recipe.promotion.metric
    print_table(
        ("run", "started", "outcome", "stages", "gates", metric),
        [
            (
                run.run_id,
                run.stages[0].started.replace("T", " ")[5:16],
                outcome_of(recipe, run),
                _marks(run),
                _gate_marks(run),
                _metric(run, metric),
            )
            for run in runs
        ],
        right=(metric,),
    )
    stages = ", ".join(spec.name for spec in STAGES)
    legend = (
        f"stages: {stages};\n        ✓ done, = already done, ✗ failed, · not run",
        "gates:  ! warned, ‖ held a promotion back, ✗ stopped",
    )
    console().print("\n".join(legend), style="dim", soft_wrap=True)
    _print_newest(runs[0])


def _print_newest(run: RunRecord) -> None:
    """Which gates spoke in a run, and where it failed."""
    for stage, gate in spoken(run):
        style = "red" if gate.outcome == "stopped" else "yellow"
        line = f"{stage}: {gate.outcome}: {gate.subject}: {gate.told or gate.name}"
        console().print(line, style=style, soft_wrap=True, markup=False)
    failed = next((record for record in run.stages if record.status == "failed"), None)
    if failed:
        console().print(f"{failed.stage}: {failed.error}", style="red", soft_wrap=True, markup=False)


def spoken(run: RunRecord) -> list[tuple[str, Gate]]:
    """Stage and gate for every gate that did not pass."""
    gates = [(record.stage, gate) for record in run.stages for gate in gates_of({"gates": record.gates})]
    return [(stage, gate) for stage, gate in gates if gate.outcome != "passed"]


def outcome_of(recipe: Recipe, run: RunRecord) -> str:
    """What came of a run, in a word.

    promoted: its model is, or was made, champion, also by a run that only decided. kept: the champion stays,
    since the challenger is not better enough, or the policy promotes none. waiting: for someone's approval;
    refused: that was a no. stopped: by a gate; failed: otherwise. partial: it was stopped, or is under way.
    """
    records = {record.stage: record for record in run.stages}
    if run.status == "failed":
        return "stopped" if any(gate.outcome == "stopped" for _, gate in spoken(run)) else "failed"
    asked = records.get("promote")
    if not asked and "register" not in records:
        return "partial"
    if ((asked or records["register"]).metrics or {}).get("promoted") == 1:
        return "promoted"
    if asked:
        return "refused"
    held = any(gate.outcome == "held" for _, gate in spoken(run))
    return "waiting" if recipe.promotion.policy == "approve" and not held else "kept"


def select(recipe: Recipe, runs: Sequence[RunRecord], named: str) -> RunRecord:
    """The run that a part of its id names.

    Raises:
        InvalidInputError: none, or more than one.
    """
    found = [run for run in runs if run.run_id == named] or [run for run in runs if named in run.run_id]
    if len(found) == 1:
        return found[0]
    known = ", ".join(run.run_id for run in (found or runs)[:5]) or "none"
    what = "which several have" if found else "which no run has"
    raise InvalidInputError(
        f"{recipe.name}: got run {named!r}, {what}; need the id of one, or a part that no other has "
        f"(the newest: {known})"
    )


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


def _gate_marks(run: RunRecord) -> str:
    counts = Counter[str](gate.outcome for _, gate in spoken(run))
    return " ".join(f"{counts[outcome]}{mark}" for outcome, mark in _GATE_MARKS.items() if counts[outcome])


def _metric(run: RunRecord, name: str) -> str:
    values = [(record.metrics or {}).get(name) for record in run.stages if record.stage == "evaluate"]
    return f"{values[0]:.4f}" if values and values[0] is not None else ""
