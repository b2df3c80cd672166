"""What AMER's steps over fields have in common."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor

from components.core.checkpoint import Checkpoint
from components.core.columns import EPOCH
from components.core.policy import Policy
from components.core.recipe.classification import Amer, ClassificationTraining
from components.core.recipe.search import FineTune
from components.rec.classification import ClassificationLearner, build_loss
from components.rec.classifiers.base import ClassifierModel
from components.rec.fields import ExampleBatch, FieldData
from components.rec.loop import Fit, Schedule, fit


@final
@dataclass(frozen=True, kw_only=True)
class Step:
    """What a step found.

    Attributes:
        patch: of the training section.
        decision: in the search's words.
        weights: of the model that it ended with.
        course: of the shared weights' training; its seconds are of the whole step.
    """

    patch: Mapping[str, Any]
    decision: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    course: Fit = field(default_factory=Fit)


def plain(model: Amer) -> Amer:
    """Without interactions, and without what goes around the MLP: the pre-defined MLP of §2.3."""
    return model.model_copy(update={"interactions": (), "shortcut": False})


def patched(training: ClassificationTraining, patch: Mapping[str, Any]) -> ClassificationTraining:
    """The training section as a step wants it."""
    return Policy(kind="amer", patch=dict(patch), decision={}, best_epoch=0, epochs=0).apply(training)


def some_examples(data: FieldData, count: int, draw: torch.Generator) -> ExampleBatch:
    """At most so many of valid."""
    index_N = torch.randperm(len(data.valid), generator=draw)[:count].sort().values
    return data.valid.select(index_N.to(data.device))


def fine_tune(
    small: FineTune,
    training: ClassificationTraining,
    data: FieldData,
    child: ClassifierModel,
    seed: int,
    checkpoint: Checkpoint,
) -> Fit:
    """A child goes on from the shared weights, which it has; where it gets no better, it is what it was."""
    section = training.model_copy(update={"learning_rate": small.learning_rate})
    loss = build_loss(section.loss, data, None, seed)
    learner = ClassificationLearner(section, data, child, loss, seed)
    schedule = Schedule.of(
        section, epochs=small.epochs, patience=small.epochs, validate_every=1, from_start=True
    )
    return fit(learner, data, schedule, seed=seed, checkpoint=checkpoint, name="fine-tuning")


def append(course: Fit, found: Fit) -> None:
    """One training after another, as one."""
    before = course.epochs
    course.history += [{**record, EPOCH: before + record[EPOCH]} for record in found.history]
    course.best_epoch, course.best_value = before + found.best_epoch, found.best_value
    course.seconds += found.seconds
