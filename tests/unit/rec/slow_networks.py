"""The papers' formulas, one example and one number at a time, in float64."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.core.recipe.classification import AutoInt, Classifier, Dcn, XDeepFm

Array = NDArray[np.float64]
Weights = Mapping[str, Array]
EPSILON = 1e-5  # of torch's batch norm


def dot(a: Sequence[float] | Array, b: Sequence[float] | Array) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def layer(w: Weights, name: str, x: Array) -> Array:
    bias = w.get(f"{name}.bias")
    return np.array(
        [dot(row, x) + (0.0 if bias is None else bias[i]) for i, row in enumerate(w[f"{name}.weight"])]
    )


def norm(w: Weights, name: str, x: Array) -> Array:
    if f"{name}.weight" not in w:
        return x
    scaled = [
        (value - w[f"{name}.running_mean"][i]) / math.sqrt(w[f"{name}.running_var"][i] + EPSILON)
        for i, value in enumerate(x)
    ]
    return np.array(scaled) * w[f"{name}.weight"] + w[f"{name}.bias"]


def mlp(w: Weights, x: Array, activations: Sequence[str] | None = None) -> Array:
    number = 0
    while f"mlp.layers.{number}.weight" in w:
        x = norm(w, f"mlp.norms.{number}", layer(w, f"mlp.layers.{number}", x))
        name = activations[number] if activations else "relu"
        if name == "dice":
            x = dice(w, f"mlp.activations.{number}", x)
        else:
            x = np.array([ACTIVATIONS[name](value) for value in x])
        number += 1
    return x


def dice(w: Weights, name: str, x: Array) -> Array:
    made = []
    for i, value in enumerate(x):
        deviation = math.sqrt(w[f"{name}.norm.running_var"][i] + EPSILON)
        share = 1 / (1 + math.exp(-(value - w[f"{name}.norm.running_mean"][i]) / deviation))
        made.append(share * value + (1 - share) * w[f"{name}.slope"][i] * value)
    return np.array(made)


ACTIVATIONS: Mapping[str, Callable[[float], float]] = {
    "relu": lambda x: max(x, 0.0),
    "swish": lambda x: x / (1 + math.exp(-x)),
    "identity": lambda x: x,
}


def products(e: Array) -> list[float]:
    return [dot(e[i], e[j]) for i, j in combinations(range(len(e)), 2)]


def deepfm(config: Any, w: Weights, e: Array) -> Array:
    made = np.array(products(e)) if config.interactions is None else hadamard(config, e).sum(axis=1)
    second = made @ w["weight_M"] if config.weighted else made.sum()
    return layer(w, "output", np.array([second, *mlp(w, e.reshape(-1))]))


def hadamard(config: Any, e: Array) -> Array:
    """Fields are called f0, f1, …"""
    made = [
        [math.prod(e[int(name[1:]), d] for name in one) for d in range(e.shape[1])]
        for one in config.interactions
    ]
    return np.array(made).reshape(len(made), e.shape[1])


def amer(config: Any, w: Weights, e: Array) -> Array:
    both = np.concatenate([e, hadamard(config, e)])
    found = list(mlp(w, (both if config.deep else e).reshape(-1)))
    if config.shortcut:
        projected = np.array([dot(q, w["gate.project.weight"][0]) for q in both])
        gate = layer(w, "gate.excite", np.maximum(layer(w, "gate.squeeze", projected), 0))
        for d in range(e.shape[1]):
            found.append(math.fsum(q[d] / (1 + math.exp(-a)) for q, a in zip(both, gate, strict=True)))
    return layer(w, "output", np.array(found))


def ipnn(config: Any, w: Weights, e: Array) -> Array:
    return layer(w, "output", mlp(w, np.array([*e.reshape(-1), *products(e)])))


def nfm(config: Any, w: Weights, e: Array) -> Array:
    total = np.zeros(e.shape[1])
    for i, j in combinations(range(len(e)), 2):
        total += e[i] * e[j]
    return layer(w, "output", mlp(w, norm(w, "norm", total)))


def wide_deep(config: Any, w: Weights, e: Array) -> Array:
    return layer(w, "output", mlp(w, e.reshape(-1), config.mlp.activations))


def dcn(config: Dcn, w: Weights, e: Array) -> Array:
    first = x = e.reshape(-1)
    for number in range(config.num_layers):
        x = first * dot(x, w[f"slopes.{number}.weight"][0]) + w[f"biases.{number}"] + x
    return layer(w, "output", np.array([*x, *mlp(w, first)]))


def autoint(config: AutoInt, w: Weights, e: Array) -> Array:
    width, x = config.attention_dim, e
    per_head = width // config.num_heads
    for number in range(config.num_layers):
        of_query, of_key, of_value, of_residual = np.split(w[f"attention.{number}.projection.weight"], 4)
        after = np.zeros((len(e), width))
        for m in range(len(e)):
            for h in range(config.num_heads):
                of_head = slice(h * per_head, (h + 1) * per_head)
                query = of_query[of_head] @ x[m]
                weight = np.array([math.exp(dot(query, of_key[of_head] @ other)) for other in x])
                weight /= weight.sum()
                for k, other in enumerate(x):
                    after[m, of_head] += weight[k] * (of_value[of_head] @ other)
            after[m] = np.maximum(after[m] + of_residual @ x[m], 0)
        x = after
    return layer(w, "output", np.array([*x.reshape(-1), *mlp(w, e.reshape(-1))]))


def xdeepfm(config: XDeepFm, w: Weights, e: Array) -> Array:
    maps, sums = e, []
    for number, count in enumerate(config.cross_layers):
        after = np.zeros((count, e.shape[1]))
        for k in range(count):
            for i in range(len(maps)):
                for j in range(len(e)):
                    after[k] += w[f"cross.{number}"][k, i, j] * maps[i] * e[j]
        maps = np.maximum(after, 0)
        sums += [math.fsum(row) for row in maps]
    return layer(w, "output", np.array([*sums, *mlp(w, e.reshape(-1))]))


def fibinet(config: Any, w: Weights, e: Array) -> Array:
    squeezed = np.maximum(layer(w, "squeeze", np.array([math.fsum(x) / len(x) for x in e])), 0)
    weighed = e * np.maximum(layer(w, "excite", squeezed), 0)[:, None]
    joined: list[float] = []
    for some in (e, weighed):
        if len(some) == 1:
            joined += list(some[0])
        for i, j in combinations(range(len(some)), 2):
            turned = [dot(some[i], column) for column in w["bilinear"][i].T]
            joined += [a * b for a, b in zip(turned, some[j], strict=True)]
    return layer(w, "output", mlp(w, np.array(joined)))


AFTER_THE_LINEAR_PART: Mapping[str, Callable[[Any, Weights, Array], Array]] = {
    "deepfm": deepfm,
    "ipnn": ipnn,
    "nfm": nfm,
    "autoint": autoint,
    "wide_deep": wide_deep,
    "dcn": dcn,
    "xdeepfm": xdeepfm,
    "dnn": wide_deep,  # which adds nothing to an MLP but its linear part
    "fibinet": fibinet,
    "amer": amer,
}


def slow_logits(config: Classifier, weights: Weights, rows_BFW: Array) -> Array:
    """(B, L) in eval mode. What follows the embedding in a row are its linear weights."""
    after = AFTER_THE_LINEAR_PART[config.kind]
    logits = []
    for row_FW in rows_BFW:
        logit = after(config, weights, row_FW[:, : config.dim])
        if row_FW.shape[1] > config.dim:
            for row in row_FW:
                logit = logit + row[config.dim :]
        logits.append(logit)
    return np.array(logits)
