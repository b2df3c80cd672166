"""AMER over feature fields: which interactions (AMER-2)."""

import torch
from torch import Tensor

from components.core.checkpoint import Checkpoint
from components.core.policy import Policy
from components.core.recipe.classification import Amer, ClassificationTraining
from components.core.recipe.search import AmerForFields
from components.rec.classification import build_classifier
from components.rec.fields import FieldData
from components.rec.searchers.amer.interactions import Explored, explore
from components.rec.searchers.base import SearchResult


def search(
    config: AmerForFields,
    training: ClassificationTraining,
    data: FieldData,
    *,
    seed: int,
    checkpoint: Checkpoint,
) -> SearchResult:
    """The policy is the interactions; W′ the table, the MLP and what the interactions have learned on the
    way. What goes around the MLP begins with random weights."""
    assert isinstance(training.model, Amer)
    explored = explore(config, training, data, seed, checkpoint)
    fields = [field.name for field in data.layout.fields]
    named = [[fields[place] for place in one] for one in explored.best]
    policy = Policy(
        kind=config.kind,
        patch={"model.interactions": named},
        decision={
            "products": [
                {"fields": names, training.metric: value}
                for names, value in zip(named, explored.values, strict=True)
            ],
            "tried": list(explored.tried),
        },
        best_epoch=explored.course.best_epoch,
        epochs=explored.course.epochs,
    )
    weights = _weights(policy.apply(training), data, explored, seed)
    return SearchResult(policy, explored.course, weights)


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
