"""AMER over feature fields: which interactions (AMER-2), which MLP, or both (AMER-23)."""

from typing import Any

import torch
from torch import Tensor

from components.core.checkpoint import Checkpoint
from components.core.hashing import derive_seed
from components.core.policy import Policy
from components.core.recipe.classification import Amer, ClassificationTraining
from components.core.recipe.search import AmerForFields
from components.metrics.direction import gain
from components.rec.classification import ClassificationLearner, build_classifier, build_loss
from components.rec.classifiers.amer import AmerModel
from components.rec.fields import FieldData
from components.rec.loop import Fit, Schedule, fit
from components.rec.searchers.amer import mlps
from components.rec.searchers.amer.interactions import Explored, append, explore
from components.rec.searchers.base import SearchResult


def search(
    config: AmerForFields,
    training: ClassificationTraining,
    data: FieldData,
    *,
    seed: int,
    checkpoint: Checkpoint,
) -> SearchResult:
    """The policy is interactions and an MLP, or one of them. W′ is what was learned on the way: with step 3
    the best child, fine-tuned; else the table, the MLP and the interactions' part of it, and what goes around
    the MLP begins with random weights."""
    assert isinstance(training.model, Amer)
    course, patch, decision = Fit(), dict[str, Any](), dict[str, Any]()
    weights: dict[str, Tensor] = {}
    if "interactions" in config.steps:
        explored = explore(config, training, data, seed, checkpoint)
        fields = [field.name for field in data.layout.fields]
        named = [[fields[place] for place in one] for one in explored.best]
        patch["model.interactions"] = named
        decision["tried"] = list(explored.tried)
        decision["products"] = [
            {"fields": names, training.metric: value}
            for names, value in zip(named, explored.values, strict=True)
        ]
        append(course, explored.course)
        training = _patched(config, training, patch)
        weights = _weights(training, data, explored, seed)
    if "mlp" in config.steps:
        weights, found = _search_mlp(config, training, data, weights, course, seed, checkpoint)
        patch["model.mlp"] = found.pop("section")
        decision |= found
    policy = Policy(
        kind=config.kind,
        patch=patch,
        decision=decision,
        best_epoch=course.best_epoch,
        epochs=course.epochs,
    )
    return SearchResult(policy, course, weights)


def _patched(
    config: AmerForFields, training: ClassificationTraining, patch: dict[str, Any]
) -> ClassificationTraining:
    policy = Policy(kind=config.kind, patch=patch, decision={}, best_epoch=0, epochs=0)
    return policy.apply(training)


def _weights(
    training: ClassificationTraining, data: FieldData, explored: Explored, seed: int
) -> dict[str, Tensor]:
    """Of the model with the interactions: the first layer's are put side by side."""
    model = build_classifier(training, data, seed)
    found, learned = model.state_dict(), dict(explored.weights)
    assert isinstance(training.model, Amer)
    first = "network.mlp.layers.0.weight"
    if training.model.deep:
        learned[first] = torch.cat([learned[first], *explored.of_interactions], dim=1)
    output, inputs = "network.output.weight", learned["network.output.weight"].shape[1]
    whole = found[output].clone()
    whole[:, :inputs] = learned[output]
    learned[output] = whole
    return {name: learned.get(name, tensor).detach().clone() for name, tensor in found.items()}


def _search_mlp(
    config: AmerForFields,
    training: ClassificationTraining,
    data: FieldData,
    before: dict[str, Tensor],
    course: Fit,
    seed: int,
    checkpoint: Checkpoint,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights of the best child, and what there is to tell; the table goes on from step 2."""
    small, metric = config.mlp, training.metric
    model = mlps.one_shot(training, data, seed)
    if before:
        model.load_state_dict({**model.state_dict(), "table": before["table"]})
    learner = mlps.MlpLearner(small, training, data, model, seed)
    schedule = Schedule.of(training, epochs=small.epochs, patience=small.epochs, validate_every=1)
    part = checkpoint.part("mlp", "")
    shared = fit(learner, data, schedule, seed=derive_seed(seed, "mlp"), checkpoint=part, name="search: MLP")
    model.load_state_dict(shared.weights)
    append(course, shared)

    draw = torch.Generator().manual_seed(derive_seed(seed, "search", "children"))
    assert isinstance(training.model, Amer)
    width = mlps.widest(training.model, len(data.layout.fields))
    count = len(training.model.mlp.hidden)
    children = mlps.random_layers(small, width, count, small.children, draw)
    order = torch.randperm(len(data.valid), generator=draw)[: config.examples].sort().values
    batch = data.valid.select(order.to(data.device))
    values = dict(zip(children, mlps.measure_layers(model, children, batch, metric), strict=True))
    best = sorted(children, key=lambda one: -gain(metric, values[one]))[: small.top]
    tuned = [
        _fine_tune(config, training, data, model, one, seed, checkpoint.part(f"child-{number}", ""))
        for number, one in enumerate(best)
    ]
    place = max(range(len(best)), key=lambda number: gain(metric, tuned[number].best_value))
    return tuned[place].weights, {
        "section": mlps.config_of(best[place], training.model.mlp).model_dump(mode="json"),
        "child": mlps.told(best[place]),
        "children": len(children),
        "looked_at_by": {"examples": len(batch)},
        "best": [
            {"child": mlps.told(one), "shared": values[one], "fine_tuned": fitted.best_value}
            for one, fitted in zip(best, tuned, strict=True)
        ],
    }


def _fine_tune(
    config: AmerForFields,
    training: ClassificationTraining,
    data: FieldData,
    model: AmerModel,
    layers: mlps.Layers,
    seed: int,
    checkpoint: Checkpoint,
) -> Fit:
    """A child that goes on from the shared weights; where it gets no better, it is what it was."""
    small = config.mlp.fine_tune
    mlp = mlps.config_of(layers, training.model.mlp)
    section = training.model_copy(
        update={
            "model": training.model.model_copy(update={"mlp": mlp}),
            "learning_rate": small.learning_rate,
        }
    )
    child = build_classifier(section, data, seed)
    child.load_state_dict(mlps.child_of(model, layers))
    loss = build_loss(section.loss, data, None, seed)
    learner = ClassificationLearner(section, data, child, loss, seed)
    schedule = Schedule.of(
        section, epochs=small.epochs, patience=small.epochs, validate_every=1, from_start=True
    )
    return fit(learner, data, schedule, seed=seed, checkpoint=checkpoint, name="fine-tuning")
