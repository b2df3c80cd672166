"""Cells side by side, each in a process of its own that runs the stages one after the other."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Final, final

from components.catalog import STAGES
from components.core.errors import ConflictError, RecloopError
from components.core.recipe import Recipe
from components.core.runs import Invocation, plan
from components.core.stage import StageResult, StageSpec, execute
from components.study.grid import Cell

WAIT_S: Final = 0.2  # between two looks at what another process is making
_THREADS: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS")


@final
@dataclass(frozen=True)
class Outcome:
    """What a cell left.

    Attributes:
        places: URI of each artifact, by its name.
        metrics: of each stage, by the stage's name.
        error: why it failed; then the rest tells what was done before.
    """

    places: Mapping[str, str]
    metrics: Mapping[str, Mapping[str, float]]
    error: str = ""


def run_cells(cells: Mapping[Cell, Recipe], *, jobs: int) -> Iterator[tuple[Cell, Outcome]]:
    """Run cells, `jobs` at a time, and give each as it ends. What was done before is not done again."""
    with workers(jobs) as pool:
        waiting = {
            pool.submit(run_recipe, recipe.model_dump_json(by_alias=True), _last_stage(cell)): cell
            for cell, recipe in cells.items()
        }
        for done in as_completed(waiting):
            try:
                yield waiting[done], done.result()
            except BrokenProcessPool as error:
                yield waiting[done], Outcome({}, {}, f"its process was killed, perhaps for memory: {error}")


@contextmanager
def workers(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that share the machine's cores out among them: with more of them, each has fewer threads."""
    threads = max(1, (os.cpu_count() or 1) // jobs)
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, str(threads)))  # what a new process begins with
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))  # a fork would share torch's threads
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def run_recipe(document: str, until: str) -> Outcome:
    """The stages of a recipe in this process. A stage's refusal ends the cell, not the study."""
    recipe = Recipe.model_validate_json(document)
    places: dict[str, str] = {}
    metrics: dict[str, Mapping[str, float]] = {}
    for spec in _stages(until):
        todo = plan(recipe, spec, places)
        try:
            result = _executed(spec, todo)
        except RecloopError as error:
            return Outcome(places, metrics, f"{spec.name}: {error}")
        places[spec.output], metrics[spec.name] = result.uri, dict(result.metrics)
    return Outcome(places, metrics)


def _executed(spec: StageSpec, todo: Invocation) -> StageResult:
    """Cells have in common what is equal, such as a dataset: who comes second waits for the first."""
    while True:
        try:
            return execute(spec, todo.params, todo.inputs, todo.output)
        except ConflictError:
            time.sleep(WAIT_S)


def _last_stage(cell: Cell) -> str:
    """A race is decided by validation: nobody looks at the test part."""
    return "evaluate" if cell.method.epochs is None else "retrain"


def _stages(until: str) -> Sequence[StageSpec]:
    names = [spec.name for spec in STAGES]
    return STAGES[: names.index(until) + 1]
