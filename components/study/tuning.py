"""Learning rates, L2 and α's learning rate by validation alone (AutoSample, Appendix B.5), through Optuna.

A trial trains on the dataset artifact's train part and is judged on its valid part; the test part is never
opened. A trial that validates worse than the median of the trials before it, epoch by epoch, is stopped.
Trials are kept in a journal beside the results: who runs the study again goes on from there.
"""

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import Final

import optuna
from optuna.samplers import BaseSampler, GridSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from components.core.checkpoint import Checkpoint
from components.core.columns import EPOCH
from components.core.errors import GateFailedError
from components.core.hashing import sha256_json
from components.core.recipe import Recipe
from components.core.recipe.search import AutoSample
from components.study.grid import AUTOSAMPLE, Cell, recipe_of
from components.study.running import run_recipe, workers
from components.study.schema import Study, Tuning

_FINISHED: Final = (TrialState.COMPLETE, TrialState.PRUNED)
_FIRST_TRIALS: Final = 4  # whom nobody stops
_DIVERGED: Final = -1.0  # below every metric
Grid = Mapping[str, Sequence[float]]


def tune(
    study: Study, cells: Sequence[Cell], journal: Path, *, jobs: int
) -> Iterator[tuple[Cell, dict[str, float]]]:
    """The best values for each cell, as it is done."""
    with workers(jobs) as pool:
        waiting = {
            pool.submit(tune_cell, study.model_dump_json(by_alias=True), cell, str(journal)): cell
            for cell in cells
        }
        for done in as_completed(waiting):
            yield waiting[done], done.result()


def tune_cell(document: str, cell: Cell, journal: str) -> dict[str, float]:
    """The best values for one cell; in a process of its own."""
    study = Study.model_validate_json(document)
    assert study.tuning is not None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    recipe = recipe_of(study, cell, {})
    prepared = run_recipe(recipe.model_dump_json(by_alias=True), "prepare")
    if prepared.error:
        raise GateFailedError(f"{cell.label}: {prepared.error}")
    grid = _grid(study.tuning, cell)
    asked = {
        "recipe": recipe.model_dump(mode="json"),
        "tuning": study.tuning.model_dump(mode="json", exclude={"methods"}),
    }
    found = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(journal)),
        study_name=f"{cell.label} {sha256_json(asked)[:12]}",
        direction="maximize",
        sampler=_sampler(study.tuning, grid),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_FIRST_TRIALS),
        load_if_exists=True,
    )
    for trial in found.get_trials(states=(TrialState.RUNNING,)):
        found.tell(trial.number, state=TrialState.FAIL)  # whoever ran it was killed
    most = min(study.tuning.trials, math.prod(map(len, grid.values())))
    dataset = Path(prepared.places["dataset"])

    def objective(trial: optuna.Trial) -> float:
        values = {name: trial.suggest_categorical(name, list(choices)) for name, choices in grid.items()}
        return _validated(recipe_of(study, cell, values), dataset, trial)

    while len(found.get_trials(states=_FINISHED)) < most:
        found.optimize(objective, n_trials=1)
    return dict(found.best_params)


def _grid(tuning: Tuning, cell: Cell) -> dict[str, Sequence[float]]:
    grid: dict[str, Sequence[float]] = {"learning_rate": tuning.learning_rates, "l2": tuning.l2}
    if cell.method.sampler == AUTOSAMPLE:
        grid["alpha_learning_rate"] = tuning.alpha_learning_rates
    return grid


def _sampler(tuning: Tuning, grid: Grid) -> BaseSampler:
    """Every point of the grid where there are trials enough for that."""
    if math.prod(map(len, grid.values())) <= tuning.trials:
        return GridSampler({name: list(values) for name, values in grid.items()}, seed=tuning.seed)
    return TPESampler(seed=tuning.seed)


def _validated(recipe: Recipe, dataset: Path, trial: optuna.Trial) -> float:
    """The best validation of a training, or of a search."""
    from components.rec.allocator import keep_large_buffers
    from components.rec.data import RankingData, choose_device
    from components.rec.learner import Learner, RankingLearner
    from components.rec.loop import Schedule, fit
    from components.rec.objective import build_model
    from components.rec.searchers.autosample import AutoSampleLearner

    keep_large_buffers()
    training, search = recipe.training, recipe.search
    data = RankingData.load(dataset, choose_device(training.device))
    model = build_model(training, data, recipe.training_seed)
    learner: Learner = (
        AutoSampleLearner(search, training, data, model, recipe.training_seed)
        if isinstance(search, AutoSample)
        else RankingLearner(training, data, model, recipe.training_seed)
    )
    schedule = Schedule(
        epochs=training.epochs,
        patience=training.patience,
        validate_every=training.validate_every,
        batch_size=training.batch_size,
        metric=training.metric,
    )

    def watch(record: Mapping[str, float]) -> None:
        if training.metric in record:
            trial.report(record[training.metric], int(record[EPOCH]))
            if trial.should_prune():
                raise optuna.TrialPruned

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
