"""A model's architecture, as boxes for a template to draw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from components.metrics.decision import counted

_LAYERS: Final[Mapping[str, str]] = {
    "conv1": "convolution, 1 place",
    "conv3": "convolution, 3 places",
    "dilated3": "dilated convolution, 3 places",
    "dilated5": "dilated convolution, 5 places",
    "dilated7": "dilated convolution, 7 places",
    "average3": "mean of 3 places",
    "max3": "maximum of 3 places",
    "gru": "GRU, both ways",
    "attention2": "self-attention, 2 heads",
    "attention4": "self-attention, 4 heads",
    "target": "attention from the target",
}
_ACTIVATIONS: Final[Mapping[str, str]] = {
    "relu": "ReLU", "gelu": "GELU", "swish": "Swish", "dice": "Dice", "identity": "",
}  # fmt: skip


@final
@dataclass(frozen=True)
class Part:
    """A box: what it is, and more about it, a line each."""

    name: str
    lines: Sequence[str] = ()


Chain = Sequence[Part]  # each goes into the next


@final
@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Chains beside each other go into all chains of the next stage.

    Attributes:
        told: the same for who cannot see it.
    """

    stages: Sequence[Sequence[Chain]]
    told: str


def architecture(
    model: Mapping[str, Any], fields: Sequence[str] = (), histories: Sequence[str] = ()
) -> Architecture | None:
    """Of the model of a training section; None where its kind is told by its name.

    Args:
        fields: of the dataset.
        histories: the fields among them whose values histories have.
    """
    if model["kind"] == "blocks":
        return _of_blocks(model)
    if model["kind"] == "amer":
        return _of_amer(model, fields, histories)
    return None


def _of_blocks(model: Mapping[str, Any]) -> Architecture:
    history = Part(
        "history", [f"the last {counted(model['max_length'], 'item')}", f"{model['dim']} numbers each"]
    )
    summed = Part("its sum and its last place", ["one vector"])
    return _drawn([[[history, *_blocks(model["blocks"]), summed]], [[Part("score", ["⟨vector, item⟩"])]]])


def _of_amer(model: Mapping[str, Any], fields: Sequence[str], histories: Sequence[str]) -> Architecture:
    products = [" ⊙ ".join(names) for names in model["interactions"]]
    inputs: list[Chain] = [[Part("fields", [", ".join(fields)])]]
    if histories:
        summed = Part("its sum, its last place, and what fits the target")
        inputs.append([Part("history", [f"of {', '.join(histories)}"]), *_blocks(model["blocks"]), summed])
    if products:
        inputs.append([Part("interactions", products)])
    mlp = model["mlp"]
    activations = mlp["activations"] or ["relu" for _ in mlp["hidden"]]
    layers = [
        Part(f"{width:,} units", [_ACTIVATIONS[activation]] if _ACTIVATIONS[activation] else [])
        for width, activation in zip(mlp["hidden"], activations, strict=True)
    ]
    ways: list[Chain] = [layers]
    if model["shortcut"]:
        what = "fields and interactions" if products else "fields"
        ways.append([Part("shortcut", [f"{what}, weighed for each example, and summed up"])])
    if products and not model["deep"]:
        layers[0] = Part(layers[0].name, [*layers[0].lines, "without the interactions"])
    return _drawn([inputs, ways, [[Part("prediction")]]])


def _blocks(blocks: Sequence[Mapping[str, Any]]) -> list[Part]:
    """Those that do something; each is added to what comes in."""
    found = []
    for block in blocks:
        if block["layer"] == "zero":
            continue
        lines = ["normalised first"] if block["norm"] == "layer" else []
        if activation := _ACTIVATIONS[block["activation"]]:
            lines.append(activation)
        found.append(Part(_LAYERS[block["layer"]], [*lines, "added to what comes in"]))
    return found


def _drawn(stages: Sequence[Sequence[Chain]]) -> Architecture:
    told = "; then ".join(
        " beside ".join(" → ".join(part.name for part in chain) for chain in stage) for stage in stages
    )
    return Architecture(stages=stages, told=told)
