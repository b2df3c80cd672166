"""AMER's step 3: how wide the layers of the MLP are, and their activations (§2.3)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, final

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, linear, silu

from components.core.checkpoint import Checkpoint
from components.core.hashing import derive_seed
from components.core.progress import progress
from components.core.recipe.classification import ActivationName, Amer, ClassificationTraining, Mlp
from components.core.recipe.search import AmerForFields, MlpSearch
from components.metrics.classification import measure
from components.rec.classification import ExampleLearner, build_classifier, build_loss
from components.rec.classifiers.amer import AmerModel, AmerNetwork, deep_width
from components.rec.classifiers.base import probabilities, shape_of
from components.rec.fields import ExampleBatch, FieldData
from components.rec.loop import Fit, Schedule, fit
from components.rec.mlp import Dice, drop
from components.rec.searchers.amer.fairness import one_of, spread
from components.rec.searchers.amer.finals import winner_of
from components.rec.searchers.amer.steps import Step, fine_tune, patched, some_examples
from components.rec.weights import prefixed

Layers = tuple[tuple[int, ActivationName], ...]  # of each layer its width and its activation
_CARRIED: Final = ("table", "network.history.")  # weights that go on from the steps before
_AT_ONCE: Final = 32  # children whose layers are in memory together


def search_mlp(
    config: AmerForFields,
    training: ClassificationTraining,
    data: FieldData,
    before: Mapping[str, Tensor],
    seed: int,
    checkpoint: Checkpoint,
) -> Step:
    """The MLP of the child that is best after fine-tuning, and its weights. The table and what reads
    histories go on from `before`; the MLP begins anew."""
    small, metric = config.mlp, training.metric
    assert isinstance(training.model, Amer)
    model = one_shot(training, data, seed)
    carried = {name: tensor for name, tensor in before.items() if name.startswith(_CARRIED)}
    model.load_state_dict({**model.state_dict(), **carried})
    learner = MlpLearner(small, training, data, model, seed)
    schedule = Schedule.of(training, epochs=small.epochs, patience=small.epochs, validate_every=1)
    part = checkpoint.part("mlp", "")
    shared = fit(learner, data, schedule, seed=derive_seed(seed, "mlp"), checkpoint=part, name="search: MLP")
    model.load_state_dict(shared.weights)

    draw = torch.Generator().manual_seed(derive_seed(seed, "search", "children"))
    width, count = widest(training.model, data), len(training.model.mlp.hidden)
    children = random_layers(small, width, count, small.children, draw)
    batch = some_examples(data, config.examples, draw)
    mlp = training.model.mlp

    def tune(one: Layers, place: int) -> Fit:
        section = patched(training, patch_of(one))
        child = build_classifier(section, data, seed)
        child.load_state_dict(child_of(model, one))
        return fine_tune(small.fine_tune, section, data, child, seed, checkpoint.part(f"child-{place}", ""))

    def patch_of(one: Layers) -> dict[str, Any]:
        return {"model.mlp": config_of(one, mlp).model_dump(mode="json")}

    winner = winner_of(
        children,
        lambda some: measure_layers(model, some, batch, metric),
        tune,
        told=told,
        patched=patch_of,
        metric=metric,
        top=small.top,
    )
    shared.seconds += winner.seconds
    return Step(
        patch=winner.patch,
        decision={**winner.decision, "looked_at_by": {"examples": len(batch)}},
        weights=winner.weights,
        course=shared,
    )


def fair_layers(config: MlpSearch, width: int, count: int, generator: torch.Generator) -> list[Layers]:
    """A child for each width that the first layer may have; no layer is wider than the one before, and
    activations are as even as their number allows. (Strict fairness of all layers' widths would need
    children that grow.)"""
    children = []
    firsts = spread(config.shares, len(config.shares), generator)
    chosen = [spread(config.activations, len(firsts), generator) for _ in range(count)]
    for number, first in enumerate(firsts):
        shares = _shrinking(config, first, count, generator)
        children.append(_layers(shares, [some[number] for some in chosen], width))
    return children


def random_layers(
    config: MlpSearch, width: int, count: int, number: int, generator: torch.Generator
) -> list[Layers]:
    """Distinct children; fewer where there are no more."""
    found: dict[Layers, None] = {}
    for _ in range(20 * number):
        shares = _shrinking(config, one_of(config.shares, generator), count, generator)
        activations = [one_of(config.activations, generator) for _ in range(count)]
        found[_layers(shares, activations, width)] = None
        if len(found) == number:
            break
    return list(found)


def _shrinking(config: MlpSearch, first: float, count: int, generator: torch.Generator) -> list[float]:
    shares = [first]
    while len(shares) < count:
        shares.append(one_of([share for share in config.shares if share <= shares[-1]], generator))
    return shares


def _layers(shares: Sequence[float], activations: Sequence[ActivationName], width: int) -> Layers:
    widths = [max(1, round(share * width)) for share in shares]
    return tuple(zip(widths, activations, strict=True))


def widest(model: Amer, data: FieldData) -> int:
    """K₀: the most numbers that a layer of the MLP may have."""
    return deep_width(model, shape_of(data.layout, model.dim, data.num_logits, apart=True))


def one_shot(training: ClassificationTraining, data: FieldData, seed: int) -> AmerModel:
    """A model all of whose layers are as wide as can be; its children are parts of it."""
    assert isinstance(training.model, Amer)
    count, width = len(training.model.mlp.hidden), widest(training.model, data)
    mlp = training.model.mlp.model_copy(
        update={"hidden": (width,) * count, "activations": ("dice",) * count, "batch_norm": False}
    )
    generator = torch.Generator().manual_seed(derive_seed(seed, "weights"))
    config = training.model.model_copy(update={"mlp": mlp})
    return AmerModel(config, data, generator=generator).to(data.device)


def child_of(model: AmerModel, layers: Layers) -> dict[str, Tensor]:
    """The weights of a child: of each matrix its first rows and columns."""
    weights = {name: tensor for name, tensor in model.state_dict().items() if ".mlp." not in name}
    network = _network(model)
    inputs = _linear(network, 0)[0].shape[1]
    for number, (width, activation) in enumerate(layers):
        weight, bias = _linear(network, number)
        place = f"network.mlp.layers.{number}"
        weights |= {f"{place}.weight": weight[:width, :inputs], f"{place}.bias": bias[:width]}
        if activation == "dice":
            place = f"network.mlp.activations.{number}"
            weights[f"{place}.slope"] = _dice(network, number).slope[:width]
            fresh = nn.BatchNorm1d(width, affine=False).to(model.table.device)  # nobody has looked at it yet
            weights |= prefixed(f"{place}.norm", fresh.state_dict())
        inputs = width
    output = network.output.weight
    weights["network.output.weight"] = torch.cat(
        [output[:, :inputs], output[:, network.mlp.outputs :]], dim=1
    )
    return {name: tensor.detach().clone() for name, tensor in weights.items()}


def config_of(layers: Layers, mlp: Mlp) -> Mlp:
    """The section of the recipe that a child is."""
    widths, activations = zip(*layers, strict=True)
    return mlp.model_copy(update={"hidden": widths, "activations": activations, "batch_norm": False})


@final
class MlpLearner(ExampleLearner):
    """A step trains as many children as the first layer has widths to choose from, on the same batch."""

    model: AmerModel

    def __init__(
        self,
        config: MlpSearch,
        training: ClassificationTraining,
        data: FieldData,
        model: AmerModel,
        seed: int,
    ) -> None:
        super().__init__(
            training,
            data,
            model,
            build_loss(training.loss, data, None, seed),
            optimizer=model.optimizer(config.learning_rate),
            draws={"dropout": derive_seed(seed, "dropout")},
        )
        self._config, self._network = config, _network(model)
        self._draw = torch.Generator().manual_seed(derive_seed(seed, "search", "layers"))

    def step(self, batch: ExampleBatch) -> None:
        looked = self.model.look_up(batch)
        deep_BI, around_BD = self._network.inputs(*looked)
        width, count = self._network.mlp.outputs, len(self._network.mlp.layers)
        losses = []
        for layers in fair_layers(self._config, width, count, self._draw):
            hidden_BH = deep_BI
            for number, layer in enumerate(layers):
                hidden_BH = go_through(self._network, number, layer, hidden_BH)
                hidden_BH = drop(hidden_BH, self._network.dropout, self._generators["dropout"])
            losses.append(self._loss(logits(self._network, hidden_BH, around_BD), batch.label_B))
        self._descend(torch.stack(losses).mean(dim=0), looked)

    def state(self) -> dict[str, Tensor]:
        return {**super().state(), "draw": self._draw.get_state()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        super().load_state(state)
        self._draw.set_state(state["draw"].cpu())


def go_through(
    network: AmerNetwork, number: int, layer: tuple[int, ActivationName], hidden_BH: Tensor
) -> Tensor:
    """One layer of a child: what W_c[: out, : in] makes of the numbers before (§2.3)."""
    width, activation = layer
    weight, bias = _linear(network, number)
    sum_BH = linear(hidden_BH, weight[:width, : hidden_BH.shape[1]], bias[:width])
    return _activated(network, number, activation, sum_BH)


def _activated(network: AmerNetwork, number: int, activation: ActivationName, sum_BH: Tensor) -> Tensor:
    if activation == "dice":
        share_BH = batch_norm(sum_BH, None, None, training=True).sigmoid()
        slope_H = _dice(network, number).slope[: sum_BH.shape[1]]
        return sum_BH * (share_BH + (1 - share_BH) * slope_H)
    if activation == "swish":
        return silu(sum_BH)
    return sum_BH.relu() if activation == "relu" else sum_BH


def logits(network: AmerNetwork, hidden_BH: Tensor, around_BD: Tensor) -> Tensor:
    """(B, L) of a child's last layer and what goes around it."""
    weight = network.output.weight
    inputs = [weight[:, : hidden_BH.shape[1]], weight[:, network.mlp.outputs :]]
    return linear(torch.cat([hidden_BH, around_BD], dim=1), torch.cat(inputs, dim=1), network.output.bias)


@torch.no_grad()
def measure_layers(
    model: AmerModel, children: Sequence[Layers], batch: ExampleBatch, metric: str
) -> list[float]:
    """The metric of each child over some examples. What goes around the MLP is computed once, layers that
    several children begin with once, and of the next layer what all of them need of it at once."""
    model.eval()
    network = _network(model)
    deep_BI, around_BD = network.inputs(*model.look_up(batch))
    label_B = batch.label_B.cpu().numpy()
    found: dict[Layers, float] = {}
    in_order = sorted(children)
    with progress("children", len(in_order), "children") as shown:
        for start in range(0, len(in_order), _AT_ONCE):
            some = in_order[start : start + _AT_ONCE]
            for layers, hidden_BH in _last(network, some, deep_BI).items():
                probability = probabilities(logits(network, hidden_BH, around_BD).double()).cpu().numpy()
                found[layers] = measure(probability, label_B)[metric]
            shown.advance(len(some))
    model.train()
    return [found[layers] for layers in children]


def _last(network: AmerNetwork, children: Sequence[Layers], first_BI: Tensor) -> Mapping[Layers, Tensor]:
    states: dict[Layers, Tensor] = {(): first_BI}
    for number in range(len(network.mlp.layers)):
        weight, bias = _linear(network, number)
        prefixes = dict.fromkeys(layers[: number + 1] for layers in children)
        sums: dict[Layers, Tensor] = {}
        for parent in dict.fromkeys(prefix[:-1] for prefix in prefixes):
            most = max(prefix[-1][0] for prefix in prefixes if prefix[:-1] == parent)
            before = states[parent]
            sums[parent] = linear(before, weight[:most, : before.shape[1]], bias[:most])
        states = {
            prefix: _activated(network, number, prefix[-1][1], sums[prefix[:-1]][:, : prefix[-1][0]])
            for prefix in prefixes
        }
    return states


def _network(model: AmerModel) -> AmerNetwork:
    assert isinstance(model.network, AmerNetwork)
    return model.network


def _linear(network: AmerNetwork, number: int) -> tuple[Tensor, Tensor]:
    layer = network.mlp.layers[number]
    assert isinstance(layer, nn.Linear)
    return layer.weight, layer.bias


def _dice(network: AmerNetwork, number: int) -> Dice:
    activation: nn.Module = network.mlp.activations[number]
    assert isinstance(activation, Dice)
    return activation


def told(layers: Layers) -> str:
    """A child in a few words."""
    return " → ".join(f"{width} {activation}" for width, activation in layers)
