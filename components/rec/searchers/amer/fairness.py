"""Draws that are even, and draws that are not."""

from collections.abc import Sequence
from typing import TypeVar

import torch

T = TypeVar("T")


def one_of(options: Sequence[T], generator: torch.Generator) -> T:
    """Any of the options."""
    return options[int(torch.randint(len(options), (), generator=generator))]


def spread(options: Sequence[T], count: int, generator: torch.Generator) -> list[T]:
    """`count` of the options, each as often as the others or once more, in random order."""
    rounds = -(-count // len(options))
    chosen = [options[place] for _ in range(rounds) for place in _order(len(options), generator)][:count]
    return [chosen[place] for place in _order(count, generator)]


def _order(count: int, generator: torch.Generator) -> list[int]:
    places: list[int] = torch.randperm(count, generator=generator).tolist()
    return places
