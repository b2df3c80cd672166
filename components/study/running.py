"""Cells side by side, each in a process of its own that runs the stages one after the other."""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Final, final

from components.catalog import STAGES
from components.core.errors import ConflictError, RecloopError
from components.core.recipe import Recipe
from components.core.runs import Invocation, plan
from components.core.stage import StageResult, StageSpec, execute
from components.study.cells import AnyMethod, Cell
from components.study.processes import Call, in_turns

KILLED: Final = "its process was killed, perhaps for want of memory: fewer --jobs need less"
WAIT_S: Final = 0.2  # between two looks at what another process is making
_SHARED: Final = ("ingest", "prepare")  # nearly all cells have these in common: another one is no help


@final
@dataclass(frozen=True)
class Outcome:
    """What a cell left.

    Attributes:
        places: URI of each artifact, by its name.
        metrics: of each stage, by the stage's name.
        seconds: that it took this time.
        skipped: all of it was done before.
        error: why it failed; then the rest tells what was done before.
    """

    places: Mapping[str, str]
    metrics: Mapping[str, Mapping[str, float]]
    seconds: float = 0.0
    skipped: bool = False
    error: str = ""


def run_cells(
    cells: Mapping[Cell[AnyMethod], Recipe], *, jobs: int
) -> Iterator[tuple[Cell[AnyMethod], Outcome]]:
    """Run cells, `jobs` at a time, and give each as it ends. What was done before is not done again; what
    another process is doing is left to it while there are other cells."""
    calls: dict[Cell[AnyMethod], Call] = {
        cell: (run_recipe, (recipe, cell.method.last_stage)) for cell, recipe in cells.items()
    }
    for cell, done in in_turns(calls, jobs=jobs):
        try:
            yield cell, done.result()
        except BrokenProcessPool:
            yield cell, Outcome({}, {}, error=KILLED)


def run_recipe(recipe: Recipe, until: str, patient: bool = True) -> Outcome:
    """The stages of a recipe in this process. A stage's refusal ends the cell, not the study.

    Raises:
        ConflictError: another process is at one of its stages, and we are not `patient`.
    """
    began = time.monotonic()
    places: dict[str, str] = {}
    metrics: dict[str, Mapping[str, float]] = {}
    error, skipped = "", True
    for spec in _stages(until):
        todo = plan(recipe, spec, places)
        try:
            result = _executed(spec, todo, patient=patient or spec.name in _SHARED)
        except ConflictError:
            raise
        except RecloopError as refusal:
            error = f"{spec.name}: {refusal}"
            break
        places[spec.output], metrics[spec.name] = result.uri, dict(result.metrics)
        skipped = skipped and result.skipped
    seconds = time.monotonic() - began
    return Outcome(places, metrics, seconds=seconds, skipped=skipped and not error, error=error)


def _executed(spec: StageSpec, todo: Invocation, *, patient: bool) -> StageResult:
    """Cells have in common what is equal, such as a dataset: who comes second waits for the first."""
    while True:
        try:
            return execute(spec, todo.params, todo.inputs, todo.output)
        except ConflictError:
            if not patient:
                raise
            time.sleep(WAIT_S)


def _stages(until: str) -> Sequence[StageSpec]:
    names = [spec.name for spec in STAGES]
    return STAGES[: names.index(until) + 1]
