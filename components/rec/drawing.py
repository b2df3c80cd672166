"""Initial weights."""

import torch
from torch import Tensor


def uniform(shape: tuple[int, ...], bound: float, generator: torch.Generator) -> Tensor:
    """Values from U(−bound, bound)."""
    return torch.rand(shape, generator=generator) * (2 * bound) - bound


def xavier(inputs: int, outputs: int, generator: torch.Generator) -> Tensor:
    """(inputs, outputs) from U(−b, b), b² = 6 / (inputs + outputs) (Glorot & Bengio 2010)."""
    return uniform((inputs, outputs), (6 / (inputs + outputs)) ** 0.5, generator)
