"""Learning rates, L2 and α's learning rate by validation alone (AutoSample, Appendix B.5), through Optuna.

A trial trains on the dataset artifact's train part and is judged on its valid part, by the best epoch; the
test part is never opened. AutoSample is judged by its search. A trial that validates worse than the median of
those before it, epoch by epoch, is stopped, but not in its first epochs, which favour high rates. Trials are
kept in journals beside the results: who runs the study again goes on there, and ends with the same rates.
"""

import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from itertools import product
from json import JSONDecodeError
from pathlib import Path
from typing import Final

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from components.core.checkpoint import Checkpoint
from components.core.columns import EPOCH
from components.core.errors import ConflictError, GateFailedError, IntegrityError, RecloopError
from components.core.hashing import code_version, sha256_json
from components.core.recipe import RankingRecipe
from components.core.recipe.search import AutoSample
from components.core.store import open_store
from components.study.processes import Call, in_turns
from components.study.running import KILLED, WAIT_S, run_recipe
from components.study.samplers.grid import Cell, recipe_of
from components.study.samplers.schema import AUTOSAMPLE, SamplersStudy, Tuning

_FIRST_TRIALS: Final = 4  # whom nobody stops
_FIRST_EPOCHS: Final = 20  # in which nobody is stopped
_DIVERGED: Final = -1.0  # below every metric
Rates = Mapping[str, float]  # of the training section, and α's
Grid = Mapping[str, list[float]]


def tune(
    study: SamplersStudy, asked: Mapping[Cell, Rates], folder: Path, *, jobs: int
) -> Iterator[tuple[Cell, dict[str, float], str]]:
    """The best rates for each cell as it is done, and why there are none. What another process is tuning is
    left to it while there are others.

    Args:
        asked: with each cell the rates that are settled and not tuned.
        folder: where trials are kept.
    """
    calls: dict[Cell, Call] = {
        cell: (tune_cell, (study, cell, dict(settled), str(folder))) for cell, settled in asked.items()
    }
    for cell, done in in_turns(calls, jobs=jobs):
        try:
            yield cell, done.result(), ""
        except RecloopError as error:
            yield cell, {}, str(error)
        except BrokenProcessPool:
            yield cell, {}, KILLED


def tune_cell(
    study: SamplersStudy, cell: Cell, settled: Rates, folder: str, patient: bool = True
) -> dict[str, float]:
    """The best rates for one cell; in a process of its own.

    Raises:
        ConflictError: another process is tuning it, and we are not `patient`.
        GateFailedError: its data cannot be prepared.
        IntegrityError: its journal of trials is damaged.
    """
    assert study.tuning is not None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    recipe = recipe_of(study, cell, settled)
    prepared = run_recipe(recipe, "prepare")
    if prepared.error:
        raise GateFailedError(f"{cell.label}: {prepared.error}")
    dataset, grid = prepared.places["dataset"], _grid(study.tuning, cell)
    code = code_version()
    asked = {"recipe": recipe.model_dump(mode="json"), "dataset": dataset, "grid": grid, "code": code}
    place = f"{folder}/{sha256_json(asked)[:16]}"
    with _only_one_process(place, patient=patient):
        return _best(study, cell, settled, grid, Path(dataset), f"{place}.journal")


def _best(
    study: SamplersStudy, cell: Cell, settled: Rates, grid: Grid, dataset: Path, journal: str
) -> dict[str, float]:
    """Try every point of the grid that has not been tried."""
    try:
        found = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(journal)),
            study_name=cell.label,
            direction="maximize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_FIRST_TRIALS, n_warmup_steps=_FIRST_EPOCHS),
            load_if_exists=True,
        )
    except JSONDecodeError as error:
        raise IntegrityError(
            f"{journal}: is damaged ({error}); remove it, and its trials are made again"
        ) from error
    for trial in found.get_trials(states=(TrialState.RUNNING,)):
        found.tell(trial.number, state=TrialState.FAIL)  # whoever ran it was killed

    def objective(trial: optuna.Trial) -> float:
        values = {name: trial.suggest_categorical(name, list(choices)) for name, choices in grid.items()}
        return _validated(recipe_of(study, cell, {**settled, **values}), dataset, trial)

    tried = [trial.params for trial in found.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))]
    points = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    for point in points:
        if point not in tried:
            if not found.get_trials(states=(TrialState.WAITING,)):  # of one who was killed before it began
                found.enqueue_trial(point)
            found.optimize(objective, n_trials=1)
    return {**settled, **found.best_params}


@contextmanager
def _only_one_process(place: str, *, patient: bool) -> Iterator[None]:
    """Who comes second waits, if they are patient, and finds the first one's trials."""
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(open_store(place).lock(place))
                break
            except ConflictError:
                if not patient:
                    raise
                time.sleep(WAIT_S)
        yield


def _grid(tuning: Tuning, cell: Cell) -> dict[str, list[float]]:
    if cell.method.name == AUTOSAMPLE:
        return {"alpha_learning_rate": list(tuning.alpha_learning_rates)}
    return {"learning_rate": list(tuning.learning_rates), "l2": list(tuning.l2)}


def _validated(recipe: RankingRecipe, dataset: Path, trial: optuna.Trial) -> float:
    """The best validation of a training, or of a search."""
    from components.rec.allocator import keep_large_buffers
    from components.rec.data import RankingData, choose_device
    from components.rec.learner import Learner
    from components.rec.loop import Schedule, fit
    from components.rec.objective import build_model
    from components.rec.ranking_learner import RankingLearner
    from components.rec.searchers.autosample import AutoSampleLearner

    keep_large_buffers()
    training, search = recipe.training, recipe.search
    data = RankingData.load(dataset, choose_device(training.device), in_time=training.reads_histories)
    model = build_model(training, data, recipe.training_seed)
    learner: Learner = (
        AutoSampleLearner(search, training, data, model, recipe.training_seed)
        if isinstance(search, AutoSample)
        else RankingLearner(training, data, model, recipe.training_seed)
    )
    schedule = Schedule.of(training)

    def watch(record: Mapping[str, float]) -> bool:
        if training.metric in record:
            trial.report(record[training.metric], int(record[EPOCH]))
            if trial.should_prune():
                raise optuna.TrialPruned
        return False

    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = Checkpoint(f"{scratch}/trial", Path(scratch), "trial")
        try:
            result = fit(
                learner,
                data,
                schedule,
                seed=recipe.training_seed,
                checkpoint=checkpoint,
                name="trial",
                watch=watch,
            )
        except GateFailedError:  # the loss is no number
            return _DIVERGED
    return result.best_value
