"""The retrain stage: the searched training section, from the weights it is to start from (Algorithm 2 of
AutoSample)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.core.checkpoint import Checkpoint
from components.core.errors import InvalidInputError
from components.core.policy import WEIGHTS_FILE, Policy
from components.core.recipe import (
    ClassificationTraining,
    RankingTraining,
    RetrainClassifierParams,
    RetrainParams,
    RetrainStreamParams,
)
from components.core.recipe.training import EpochTraining
from components.core.stage import Context
from components.data.document import write_document
from components.data.parquet import write_table
from components.rec.allocator import keep_large_buffers
from components.rec.loop import Fit, Schedule, fit
from components.rec.rows import RowModel
from components.rec.threads import share_threads
from components.rec.weights import save_tensors
from components.retrain.start import start
from components.retrain.stream import follow_stream
from components.retrain.trainee import Trainee


def run(
    params: RetrainParams | RetrainClassifierParams | RetrainStreamParams,
    inputs: Mapping[str, Path],
    output: Path,
    context: Context,
) -> Mapping[str, float]:
    """Train, and write the weights, what is served, the history and what was trained."""
    keep_large_buffers()
    share_threads()
    if isinstance(params, RetrainStreamParams):
        return follow_stream(params, inputs, output, context)
    return _converge(params, inputs, output, context)


def _converge(
    params: RetrainParams | RetrainClassifierParams,
    inputs: Mapping[str, Path],
    output: Path,
    context: Context,
) -> dict[str, float]:
    """Epoch by epoch, until validation is no better."""
    policy = Policy.read(inputs["policy"])
    training: RankingTraining | ClassificationTraining = policy.apply(params.training)
    trainee = _trainee(training, inputs, params.seed)
    has_validation = trainee.data.has_validation
    if training.warm_check is not None and not has_validation:
        raise InvalidInputError("training.warm_check: compares on validation data, of which there is none")

    model = trainee.build()
    begun = start(model, training, inputs, trainee.ids)
    cold = None
    if training.warm_check is not None and begun.source != "none":
        checkpoint = context.checkpoint.part("cold")
        cold = _train(trainee, trainee.build(), training, params.seed, checkpoint, warm=False)
    checkpoint = context.checkpoint
    if begun.champion_sha256 is not None:  # not part of the cache key: the champion may have changed
        checkpoint = checkpoint.part("warm", begun.champion_sha256)
    result = _train(trainee, model, training, params.seed, checkpoint, warm=begun.source != "none")

    model.load_state_dict(result.weights)
    save_tensors(result.weights, output / WEIGHTS_FILE)
    trainee.write(model, output)
    write_table(result.table(), output / "history.parquet")
    document = {
        "training": training.model_dump(mode="json"),
        "warm_start": begun.document(),
        "warm_check": _compared(result, cold),
        "best_epoch": result.best_epoch,
        "epochs": result.epochs,
        **trainee.sizes(),
    }
    write_document(document, output / "training.json")
    return {
        "epochs": result.epochs,
        "best_epoch": result.best_epoch,
        "training_seconds": result.seconds,
        **({"cold_training_seconds": cold.seconds} if cold else {}),
        **({f"valid_{training.metric}": result.best_value} if has_validation else {}),
    }


def _trainee(
    training: RankingTraining | ClassificationTraining, inputs: Mapping[str, Path], seed: int
) -> Trainee:
    """By task; each is imported only where it is needed."""
    if isinstance(training, RankingTraining):
        from components.retrain.ranking import RankingTrainee

        return RankingTrainee(training, inputs, seed)
    from components.retrain.classification import ClassificationTrainee

    return ClassificationTrainee(training, inputs, seed)


def _train(
    trainee: Trainee,
    model: RowModel,
    training: EpochTraining,
    seed: int,
    checkpoint: Checkpoint,
    *,
    warm: bool,
) -> Fit:
    schedule = Schedule.of(training, from_start=warm)
    name = "retrain" if warm else "retrain from random weights"
    learner = trainee.learner(model)
    return fit(learner, trainee.data, schedule, seed=seed, checkpoint=checkpoint, name=name)


def _compared(warm: Fit, cold: Fit | None) -> dict[str, Any] | None:
    """The best validation of both, for the gate; None where nothing was compared."""
    if cold is None:
        return None
    runs = {"warm": warm, "cold": cold}
    return {
        name: {"value": run.best_value, "best_epoch": run.best_epoch, "epochs": run.epochs}
        for name, run in runs.items()
    }
