"""Following a stream: predict a batch, score it, learn from it (prequential; ESAPN §2.1, §3.2)."""

import json
import logging
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, final

import pyarrow as pa
import torch
from torch import Tensor

from components.core.checkpoint import Checkpoint
from components.core.columns import BYTES, INTERACTIONS, MEAN_SIZE
from components.core.errors import GateFailedError
from components.core.interruption import held_back
from components.core.progress import progress
from components.rec.saves import Saves
from components.rec.streaming.learner import Prediction, StreamLearner
from components.rec.streaming.model import SIDES, StreamBatch
from components.rec.threads import one_thread
from components.rec.weights import load_tensors, prefixed, save_tensors, without_prefix

logger = logging.getLogger(__name__)
_NUM_POINTS: Final = 100  # of the course over time
_STATE_FILE, _COURSE_FILE = "state.safetensors", "course.json"


@final
@dataclass
class Followed:
    """What following a stream left.

    Attributes:
        said: what was predicted of each of the last N interactions before it was learned from:
            `probability` (N, C), `loss` (N,), and of each side `seen_<side>` and `size_<side>` (N,), see
            `Prediction`.
        course: accuracy and mean loss of one stretch of the stream after the other, and how large the
            embeddings were at its end.
        seconds: spent, over all resumptions.
    """

    said: dict[str, Tensor]
    course: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0

    def table(self) -> pa.Table:
        """The course: interactions int64, everything else float64."""
        data = {INTERACTIONS: pa.array([int(record[INTERACTIONS]) for record in self.course], pa.int64())}
        names = [name for name in (self.course[0] if self.course else {}) if name != INTERACTIONS]
        for name in names:
            data[name] = pa.array([record[name] for record in self.course], pa.float64())
        return pa.table(data)


def follow(
    learner: StreamLearner,
    stream: StreamBatch,
    *,
    batch_size: int,
    checkpoint: Checkpoint,
    name: str,
    tail: int = 0,
) -> Followed:
    """Go through a stream once. After a kill the same call goes on from its last checkpoint, and ends with
    the same result; a signal to stop is followed by a checkpoint.

    Args:
        tail: of how many interactions at the end it is kept what was predicted; no batch and no stretch of
            the course goes over their beginning.

    Raises:
        GateFailedError: a loss is not finite.
    """
    run = _Run(learner, stream, batch_size, tail)
    _resume(checkpoint, run)
    with one_thread(), held_back() as stop, progress(name, len(stream), "interactions") as shown:
        saves = Saves(checkpoint, run.save, stop)
        shown.advance(run.done)
        while run.done < len(stream):
            shown.advance(run.step(), note=run.told)
            if saves.save_if_due():
                logger.info("told to stop: saved after %d interactions", run.done)
                break
    run.settle()
    return run.result


@final
class _Run:
    """Everything that a checkpoint holds."""

    def __init__(self, learner: StreamLearner, stream: StreamBatch, batch_size: int, tail: int) -> None:
        self.learner, self._stream, self._batch_size = learner, stream, batch_size
        self._ends = (len(stream) - tail, len(stream))
        self.result = Followed(said=_unsaid(tail, learner.model.num_classes))
        self.done = 0
        self._right, self._loss = 0, 0.0  # sums over what was done of this stretch of the course
        self._began = time.monotonic()
        stretches = math.ceil(len(stream) / _NUM_POINTS / batch_size)
        self._stretch = max(1, stretches) * batch_size

    def step(self) -> int:
        """Predict and learn the next batch; its length."""
        stop = min(self.done + self._batch_size, *(end for end in self._ends if end > self.done))
        batch = self._stream.part(self.done, stop)
        said = self.learner.learn(batch)
        if not bool(torch.isfinite(said.loss_B).all()):
            raise GateFailedError(
                f"training sanity: the loss of an interaction among {self.done:,} to {stop:,} is not a "
                "finite number; lower training.learning_rate"
            )
        self._right += int((said.probability_BC.argmax(dim=1) == batch.label_B).sum())
        self._loss += float(said.loss_B.double().sum())
        if self.kept >= 0:
            self._keep(said, slice(self.kept, self.kept + len(batch)))
        self.done = stop
        if stop - self._first >= self._stretch or stop in self._ends:
            self.result.course.append(self._point())
            self._right, self._loss = 0, 0.0
        return len(batch)

    @property
    def kept(self) -> int:
        """How much of the tail was done; less than nothing where none is."""
        return self.done - self._ends[0]

    def _keep(self, said: Prediction, place: slice) -> None:
        columns = self.result.said
        columns["probability"][place] = said.probability_BC
        columns["loss"][place] = said.loss_B
        for side in SIDES:
            columns[f"seen_{side}"][place] = said.frequency[side].to(torch.int32)
            columns[f"size_{side}"][place] = said.size[side].to(torch.int32)

    @property
    def _first(self) -> int:
        """Where this stretch of the course began."""
        return int(self.result.course[-1][INTERACTIONS]) if self.result.course else 0

    def _point(self) -> dict[str, float]:
        count = self.done - self._first
        loss = "mse" if self.learner.model.num_classes == 2 else "logloss"
        point = {
            INTERACTIONS: float(self.done),
            "accuracy": self._right / count,
            loss: self._loss / count,
        }
        for side in SIDES:
            embeddings = self.learner.model.side(side)
            total = sum(size * count for size, count in embeddings.counts().items())
            point[MEAN_SIZE + side] = total / len(embeddings)
            point[BYTES + side] = float(sum(embeddings.bytes().values()))
        return point

    @property
    def told(self) -> str:
        """The last point in a few words."""
        return f"accuracy {self.result.course[-1]['accuracy']:.4f}" if self.result.course else ""

    @property
    def seconds(self) -> float:
        """Spent so far."""
        return self.result.seconds + time.monotonic() - self._began

    def settle(self) -> None:
        self.result.seconds = self.seconds

    def save(self, directory: Path) -> None:
        said = {name: column[: max(self.kept, 0)] for name, column in self.result.said.items()}
        tensors = {**prefixed("learner", self.learner.state()), **prefixed("said", said)}
        save_tensors(tensors, directory / _STATE_FILE)
        document = {
            "done": self.done,
            "stretch": {"right": self._right, "loss": self._loss},
            "course": self.result.course,
            "seconds": self.seconds,
        }
        (directory / _COURSE_FILE).write_text(json.dumps(document))

    def restore(self, directory: Path) -> None:
        tensors = load_tensors(directory / _STATE_FILE, torch.device("cpu"))
        self.learner.load_state(without_prefix("learner", tensors))
        for name, column in without_prefix("said", tensors).items():
            self.result.said[name][: len(column)] = column
        document = json.loads((directory / _COURSE_FILE).read_text())
        self.done = document["done"]
        self._right, self._loss = document["stretch"]["right"], document["stretch"]["loss"]
        self.result.course, self.result.seconds = document["course"], document["seconds"]


def _unsaid(size: int, num_classes: int) -> dict[str, Tensor]:
    sides = {
        f"{what}_{side}": torch.zeros(size, dtype=torch.int32) for what in ("seen", "size") for side in SIDES
    }
    return {"probability": torch.zeros(size, num_classes), "loss": torch.zeros(size), **sides}


def _resume(checkpoint: Checkpoint, run: _Run) -> None:
    directory = checkpoint.load()
    if directory is None:
        return
    run.restore(directory)
    logger.info("resumed after %d interactions", run.done)
