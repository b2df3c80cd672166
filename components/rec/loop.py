"""The training loop: epochs, validation, early stopping, checkpoints, resume."""

import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self, final

import pyarrow as pa
import torch
from torch import Tensor

from components.core.checkpoint import Checkpoint
from components.core.columns import EPOCH, TRAIN_LOSS
from components.core.errors import GateFailedError
from components.core.hashing import derive_seed
from components.core.interruption import held_back
from components.core.progress import progress
from components.core.recipe.training import EpochTraining
from components.metrics.direction import gain
from components.rec.learner import Learner
from components.rec.saves import Saves
from components.rec.weights import load_tensors, prefixed, save_tensors, without_prefix

logger = logging.getLogger(__name__)
Watch = Callable[[Mapping[str, float]], bool]
_STATE_FILE, _LOOP_FILE = "state.safetensors", "loop.json"


class TrainingData(Protocol):
    """What the loop asks of data."""

    def __len__(self) -> int:
        """How many positives or examples one epoch passes."""
        ...

    def batches(self, batch_size: int, generator: torch.Generator, first: int = 0) -> Iterator[Any]:
        """All of them once, in random order, from batch number `first` on."""
        ...

    @property
    def has_validation(self) -> bool:
        """Whether there is anything to validate on."""
        ...

    def validate(self, model: Any, metric: str) -> dict[str, float]:
        """Metrics on the validation part, `metric` among them."""
        ...


@final
@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how to stop.

    Attributes:
        metric: the validation metric that early stopping watches, such as `ndcg@20` or `logloss`.
        from_start: whether the weights that training starts from are a candidate themselves (epoch 0):
            then a warm start is never made worse.
    """

    epochs: int
    patience: int
    validate_every: int
    batch_size: int
    metric: str
    from_start: bool = False

    @classmethod
    def of(cls, training: EpochTraining, **changes: Any) -> Self:
        """What a training section says, but for some changes."""
        shared = ("epochs", "patience", "validate_every", "batch_size", "metric")
        return cls(**{name: getattr(training, name) for name in shared} | changes)


@final
@dataclass
class Fit:
    """What training left.

    Attributes:
        history: one record per epoch; metrics stand in those that were validated.
        best_epoch: the epoch of the best validation, counted from 1 (0: the start; the last epoch
            where there is no validation data).
        best_value: of the metric that the schedule watches.
        weights: the model's weights of that epoch.
        kept: what else the learner keeps of it.
        seconds: time spent in optimisation steps and in validation, over all resumptions.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_value: float = math.nan
    weights: dict[str, Tensor] = field(default_factory=dict)
    kept: dict[str, Tensor] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def epochs(self) -> int:
        return int(self.history[-1][EPOCH]) if self.history else 0

    def table(self) -> pa.Table:
        """The history: epoch int32, everything else float64, null where an epoch has no value."""
        names = sorted({name for record in self.history for name in record} - {EPOCH}, key=_column_order)
        data: dict[str, Any] = {EPOCH: pa.array([int(r[EPOCH]) for r in self.history], pa.int32())}
        for name in names:
            data[name] = pa.array([record.get(name) for record in self.history], pa.float64())
        return pa.table(data)


def fit(
    learner: Learner,
    data: TrainingData,
    schedule: Schedule,
    *,
    seed: int,
    checkpoint: Checkpoint,
    name: str,
    watch: Watch | None = None,
) -> Fit:
    """Train until the validation metric has not improved for `patience` validations.

    `watch` is told every epoch's record, and again after a kill; where it says so the training ends.

    After a kill the same call goes on from its last checkpoint, which may lie within an epoch, and ends
    with the same result. A signal to stop is followed by a checkpoint.

    Raises:
        GateFailedError: the training loss is not finite.
    """
    order = torch.Generator().manual_seed(derive_seed(seed, "order"))
    run = _Run(learner, data, schedule, order)
    _resume(checkpoint, run)
    result = run.result
    ended = any(watch(record) for record in result.history) if watch is not None else False
    with held_back() as asked_to_stop:
        saves = Saves(checkpoint, lambda directory: _write(directory, run), asked_to_stop)
        if not result.history and schedule.from_start and data.has_validation:
            _judge(run, {EPOCH: 0})
        while not ended and result.epochs < schedule.epochs and not _exhausted(result, schedule):
            run.began = time.monotonic()
            epoch = result.epochs + 1
            if not run.train_epoch(f"{name}: epoch {epoch}/{schedule.epochs}", saves):
                break
            record: dict[str, float] = {EPOCH: epoch, **learner.end_epoch()}
            if not math.isfinite(record[TRAIN_LOSS]):
                raise GateFailedError(
                    f"training sanity: the training loss of epoch {epoch} is {record[TRAIN_LOSS]}, need a "
                    "finite number; lower training.learning_rate"
                )
            _judge(run, record)
            result.seconds += time.monotonic() - run.began
            run.start_epoch()
            logger.info("epoch %d: %s", epoch, _line(record, schedule.metric))
            ended = watch is not None and watch(record)
            if saves.save_if_due():
                run.tell_stop()
                break
    return result


@final
@dataclass
class _Run:
    """Everything that a checkpoint holds.

    Attributes:
        order: draws each epoch's order of the train pairs.
        epoch_start: its state before this epoch's draw.
        batches_done: of this epoch.
        began: when this process began with it, by the monotonic clock.
    """

    learner: Learner
    data: TrainingData
    schedule: Schedule
    order: torch.Generator
    result: Fit = field(default_factory=Fit)
    batches_done: int = 0
    epoch_start: Tensor = field(init=False)
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.start_epoch()

    def start_epoch(self) -> None:
        self.batches_done = 0
        self.epoch_start = self.order.get_state()
        self.began = time.monotonic()

    def train_epoch(self, title: str, saves: Saves) -> bool:
        """What is left of the epoch; False when a signal ended it."""
        size = self.schedule.batch_size
        with progress(title, len(self.data), "examples") as shown:
            shown.advance(self.batches_done * size)
            for batch in self.data.batches(size, self.order, first=self.batches_done):
                self.learner.step(batch)
                self.batches_done += 1
                shown.advance(len(batch))
                if saves.save_if_due():
                    self.tell_stop()
                    return False
        return True

    def tell_stop(self) -> None:
        logger.info(
            "told to stop: saved after %d steps of epoch %d", self.batches_done, self.result.epochs + 1
        )


def _judge(run: _Run, record: dict[str, float]) -> None:
    """Validate if it is time, keep the weights if they are the best, and enter the record."""
    schedule, result, epoch = run.schedule, run.result, int(record[EPOCH])
    if run.data.has_validation and (epoch % schedule.validate_every == 0 or epoch == schedule.epochs):
        record |= run.data.validate(run.learner.model, schedule.metric)
    value = record.get(schedule.metric, math.nan)
    if not run.data.has_validation or _is_better(schedule.metric, value, result.best_value):
        result.best_value, result.best_epoch = value, epoch
        result.weights = _cloned(run.learner.model.state_dict())
        result.kept = _cloned(run.learner.kept())
    result.history.append(record)


def _is_better(metric: str, value: float, best: float) -> bool:
    """Any number is better than none."""
    return not math.isnan(value) and (math.isnan(best) or gain(metric, value) > gain(metric, best))


def _cloned(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def _exhausted(result: Fit, schedule: Schedule) -> bool:
    since_best = [
        record for record in result.history if record[EPOCH] > result.best_epoch and schedule.metric in record
    ]
    return len(since_best) >= schedule.patience


def _write(directory: Path, run: _Run) -> None:
    result = run.result
    tensors = {
        **prefixed("model", run.learner.model.state_dict()),
        **prefixed("learner", run.learner.state()),
        **prefixed("best", result.weights),
        **prefixed("kept", result.kept),
        "order": run.epoch_start,
    }
    save_tensors(tensors, directory / _STATE_FILE)
    document = {
        "history": result.history,
        "best_epoch": result.best_epoch,
        "best_value": None if math.isnan(result.best_value) else result.best_value,
        "seconds": result.seconds + time.monotonic() - run.began,
        "batches_done": run.batches_done,
    }
    (directory / _LOOP_FILE).write_text(json.dumps(document))


def _resume(checkpoint: Checkpoint, run: _Run) -> None:
    directory = checkpoint.load()
    if directory is None:
        return
    learner, result = run.learner, run.result
    device = next(learner.model.parameters()).device
    tensors = load_tensors(directory / _STATE_FILE, device)
    learner.model.load_state_dict(without_prefix("model", tensors))
    learner.load_state(without_prefix("learner", tensors))
    run.epoch_start = tensors["order"].cpu()
    run.order.set_state(run.epoch_start)
    document = json.loads((directory / _LOOP_FILE).read_text())
    run.batches_done = document["batches_done"]
    result.history = document["history"]
    result.best_epoch = document["best_epoch"]
    result.best_value = math.nan if document["best_value"] is None else document["best_value"]
    result.weights = without_prefix("best", tensors)
    result.kept = without_prefix("kept", tensors)
    result.seconds = document["seconds"]
    logger.info("resumed after epoch %d and %d steps", result.epochs, run.batches_done)


def _column_order(name: str) -> tuple[bool, bool, str]:
    return name == TRAIN_LOSS, "@" in name, name


def _line(record: dict[str, float], metric: str) -> str:
    """The epoch in a few words: its loss, the watched metric, and what else learns."""
    told = {
        name: value
        for name, value in record.items()
        if name in {TRAIN_LOSS, metric} or name.startswith("alpha_")
    }
    return ", ".join(f"{name} {value:.4f}" for name, value in told.items())
