"""Which children are looked at: fairly while the one-shot model is trained, at random afterwards."""

from collections.abc import Sequence
from typing import Any

import torch

from components.core.recipe.search import BlocksSearch
from components.core.recipe.sequences import ActivationName, Block, LayerName, NormName
from components.rec.searchers.amer.fairness import one_of, spread

Path = tuple[Block, ...]
_NOTHING = Block(norm="none", layer="zero", activation="identity")
_TRIES = 20  # for each child that is wanted, before a small space is taken to be exhausted


def fair_paths(config: BlocksSearch, generator: torch.Generator) -> list[Path]:
    """As many children as there are layers to choose from; in each block each of these stands in one of them
    (strict fairness, Chu et al. 2019), and norms and activations as evenly as their numbers allow."""
    count = len(config.layers)
    blocks = []
    for _ in range(config.num_blocks):
        chosen = [spread(options, count, generator) for options in _options(config)]
        blocks.append([_block(*one) for one in zip(*chosen, strict=True)])
    return list(zip(*blocks, strict=True))


def random_paths(config: BlocksSearch, count: int, generator: torch.Generator) -> list[Path]:
    """Distinct children, each choice uniform; fewer where the space has no more."""
    found: dict[Path, None] = {}
    for _ in range(_TRIES * count):
        found[tuple(_random_block(config, generator) for _ in range(config.num_blocks))] = None
        if len(found) == count:
            break
    return list(found)


def _random_block(config: BlocksSearch, generator: torch.Generator) -> Block:
    return _block(*(one_of(options, generator) for options in _options(config)))


def _options(config: BlocksSearch) -> tuple[Sequence[Any], ...]:
    return config.norms, config.layers, config.activations


def _block(norm: NormName, layer: LayerName, activation: ActivationName) -> Block:
    """Blocks that do nothing are one and the same."""
    return _NOTHING if layer == "zero" else Block(norm=norm, layer=layer, activation=activation)
