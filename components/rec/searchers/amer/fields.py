"""AMER over feature fields and histories: which blocks (AMER-1), which interactions (AMER-2), which MLP, or
several of them, one after another (AMER-23, AMER-123)."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from components.core.checkpoint import Checkpoint
from components.core.policy import Policy
from components.core.recipe.classification import Amer, ClassificationTraining
from components.core.recipe.search import AmerForFields
from components.rec.classification import build_classifier
from components.rec.fields import FieldData
from components.rec.loop import Fit
from components.rec.searchers.amer.blocks import search_blocks
from components.rec.searchers.amer.interactions import search_interactions
from components.rec.searchers.amer.mlps import search_mlp
from components.rec.searchers.amer.steps import append, patched
from components.rec.searchers.base import SearchResult

_STEPS = {"history": search_blocks, "interactions": search_interactions, "mlp": search_mlp}


def search(
    config: AmerForFields,
    training: ClassificationTraining,
    data: FieldData,
    *,
    seed: int,
    checkpoint: Checkpoint,
) -> SearchResult:
    """The policy is blocks, interactions and an MLP, or some of them. W′ is what was learned on the way: each
    step goes on from the weights of the one before. What no step has learned begins at random, as what goes
    around the MLP before step 3."""
    assert isinstance(training.model, Amer)
    course, patch, decision = Fit(), dict[str, Any](), dict[str, Any]()
    weights: Mapping[str, Tensor] = {}
    for name in config.steps:
        found = _STEPS[name](config, training, data, weights, seed, checkpoint)
        training, weights = patched(training, found.patch), found.weights
        append(course, found.course)
        patch |= found.patch
        decision |= found.decision
    policy = Policy(
        kind=config.kind,
        patch=patch,
        decision=decision,
        best_epoch=course.best_epoch,
        epochs=course.epochs,
    )
    return SearchResult(policy, course, _filled(training, data, weights, seed))


def _filled(
    training: ClassificationTraining, data: FieldData, learned: Mapping[str, Tensor], seed: int
) -> dict[str, Tensor]:
    """Weights of the model of a training section: those that were learned, from the first row and column on,
    and random ones where there are none."""
    weights = {}
    for name, fresh in build_classifier(training, data, seed).state_dict().items():
        tensor = fresh.detach().clone()
        if name in learned:
            common = tuple(slice(size) for size in learned[name].shape)
            tensor[common] = learned[name]
        weights[name] = tensor
    return weights
