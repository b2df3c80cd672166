"""BOHB (Falkner et al. 2018) over loss weights that all examples share (AutoLoss §3.4), through Optuna.

Trials come one after another. What a trial proposes follows from the seed and from what the trials before it
found, and from nothing else: a search that was killed tells a new study of its finished trials, and ends as
if it had not been.
"""

import json
import math
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Final, final

import optuna
import torch
from optuna.pruners import HyperbandPruner
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from components.core.checkpoint import Checkpoint
from components.core.columns import EPOCH, TRIAL, WEIGHT
from components.core.hashing import derive_seed
from components.core.policy import Policy
from components.core.recipe.classification import ClassificationTraining, Weighted
from components.core.recipe.search import Bohb
from components.metrics.direction import LOWER_IS_BETTER, gain
from components.rec.classification import ClassificationLearner, build_classifier, build_loss
from components.rec.fields import FieldData
from components.rec.loop import Fit, Schedule, fit
from components.rec.searchers.base import SearchResult
from components.rec.weights import load_tensors, save_tensors

_MARGIN: Final = 1e-6  # from 0 and from 1, where −ln u is infinite and where all weights may be 0
_WEIGHTS_FILE, _TRIALS_FILE = "weights.safetensors", "trials.json"
_FINDINGS: Final = ("history", "best_epoch", "best_value", "seconds")  # of a `Fit`, besides its weights


def search(
    config: Bohb, training: ClassificationTraining, data: FieldData, *, seed: int, checkpoint: Checkpoint
) -> SearchResult:
    """Try weights; the policy is those of the best validated epoch of all trials. W′ is that trial's model:
    retraining goes on from there, and need not repeat it.

    The trajectory has all trials' epochs one after another. All trials begin with the same weights and see
    the same batches.
    """
    trials = _Trials(config, training.metric, seed, _load(checkpoint, data.device))
    checkpoint.part("trial", str(config.trials))  # what is left of trials goes with the checkpoint
    while len(trials) < config.trials:
        trial, number = trials.propose(), len(trials) + 1
        model = build_classifier(training, data, seed)
        learner = ClassificationLearner(training, data, model, build_loss(trial.loss, data, None, seed), seed)
        # Hyperband alone ends a trial, and judges single epochs
        schedule = Schedule.of(training, epochs=config.epochs, patience=config.epochs, validate_every=1)
        part = checkpoint.part("trial", str(number))
        name = f"search: trial {number}/{config.trials}"
        trials.tell(
            trial, fit(learner, data, schedule, seed=seed, checkpoint=part, name=name, watch=trial.ends)
        )
        checkpoint.save(lambda directory: _write(directory, trials.found))
    return _result(config, training.metric, trials.found)


def _result(config: Bohb, metric: str, found: Fit) -> SearchResult:
    best = found.history[found.best_epoch - 1]
    weights = {loss.kind: best[WEIGHT + loss.kind] for loss in config.losses}
    loss = Weighted(losses=config.losses, weights=tuple(weights.values()))
    policy = Policy(
        kind=config.kind,
        patch={"loss": loss.model_dump(mode="json")},
        decision={"weights": weights, metric: best[metric], TRIAL: int(best[TRIAL])},
        best_epoch=found.best_epoch,
        epochs=found.epochs,
    )
    return SearchResult(policy, found, found.weights)


@final
class _Trial:
    """Weights that are proposed, and whether they are worth another epoch."""

    def __init__(self, config: Bohb, metric: str, trial: optuna.Trial) -> None:
        self.asked, self._metric, self._epochs = trial, metric, config.epochs
        # −ln u of uniform u is exponential, and exponentials over their sum are uniform on the simplex
        parts = [-math.log(trial.suggest_float(loss.kind, _MARGIN, 1 - _MARGIN)) for loss in config.losses]
        self.loss = Weighted(losses=config.losses, weights=tuple(part / sum(parts) for part in parts))

    def ends(self, record: Mapping[str, float]) -> bool:
        """Whether training ends with this epoch though more are left."""
        epoch = int(record[EPOCH])
        self.asked.report(record[self._metric], epoch)
        return epoch < self._epochs and self.asked.should_prune()

    def columns(self) -> dict[str, float]:
        """The weights, as columns of a trajectory."""
        weights = self.loss.weights or ()
        return {WEIGHT + loss.kind: weight for loss, weight in zip(self.loss.losses, weights, strict=True)}


@final
class _Trials:
    """An Optuna study in memory, and all finished trials as one training.

    Args:
        found: the trials that were finished before.
    """

    def __init__(self, config: Bohb, metric: str, seed: int, found: Fit) -> None:
        self._config, self._metric, self._seed = config, metric, seed
        self.found = Fit()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(
            study_name="bohb",  # Hyperband's brackets depend on it
            direction="minimize" if metric in LOWER_IS_BETTER else "maximize",
            pruner=HyperbandPruner(config.min_epochs, config.epochs, config.reduction_factor),
        )
        for _, records in groupby(found.history, key=lambda record: record[TRIAL]):
            trial, history = self.propose(), list(records)
            for epoch, record in enumerate(history, start=1):
                trial.ends({**record, EPOCH: epoch})
            self._finish(trial, history)
        self.found = found

    def __len__(self) -> int:
        """How many are finished."""
        return int(self.found.history[-1][TRIAL]) if self.found.history else 0

    def propose(self) -> _Trial:
        """The next trial. It has a sampler of its own, so that it depends on the number of its trial and not
        on how much randomness this process used before."""
        number = len(self._study.get_trials(deepcopy=False))
        self._study.sampler = TPESampler(
            multivariate=True,
            n_startup_trials=len(self._config.losses) + 1,  # N_min = d + 1, Falkner et al. §3.2
            seed=derive_seed(self._seed, "search", str(number)) % 2**32,
        )
        return _Trial(self._config, self._metric, self._study.ask())

    def tell(self, trial: _Trial, result: Fit) -> None:
        """Enter a trial that is over."""
        all_found, number, before = self.found, len(self) + 1, self.found.epochs
        all_found.history += [
            {**record, EPOCH: before + int(record[EPOCH]), TRIAL: number, **trial.columns()}
            for record in result.history
        ]
        all_found.seconds += result.seconds
        is_first = math.isnan(all_found.best_value)
        if is_first or gain(self._metric, result.best_value) > gain(self._metric, all_found.best_value):
            all_found.best_value, all_found.weights = result.best_value, result.weights
            all_found.best_epoch = before + result.best_epoch
        self._finish(trial, result.history)

    def _finish(self, trial: _Trial, history: list[dict[str, float]]) -> None:
        if len(history) < self._config.epochs:
            self._study.tell(trial.asked, state=TrialState.PRUNED)
        else:
            best = max(
                (record[self._metric] for record in history), key=lambda value: gain(self._metric, value)
            )
            self._study.tell(trial.asked, best)


def _write(directory: Path, found: Fit) -> None:
    save_tensors(found.weights, directory / _WEIGHTS_FILE)
    document = {name: getattr(found, name) for name in _FINDINGS}
    (directory / _TRIALS_FILE).write_text(json.dumps(document))


def _load(checkpoint: Checkpoint, device: torch.device) -> Fit:
    directory = checkpoint.load()
    if directory is None:
        return Fit()
    weights = load_tensors(directory / _WEIGHTS_FILE, device)
    return Fit(**json.loads((directory / _TRIALS_FILE).read_text()), weights=weights)
