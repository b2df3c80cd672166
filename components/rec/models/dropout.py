"""Message dropout whose mask is a function of a seed and a place.

A row's mask is the same whichever rows it is computed with, so a model may compute rows as they are asked
for. The same hash stands here twice: in torch's operations, on any device, and as a kernel's function.
"""

from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from components.compiled import njit

_HALF: Final = 1 << 31
_STEP: Final = 0x9E3779B9  # an odd number, so that each column moves a row's key to another place
_FACTORS: Final = (0x7FEB352D, 0x846CA68B)  # and shifts of 16, 15, 16: Wellons' `lowbias32`
_STEP_U, _FACTOR_1, _FACTOR_2 = np.uint32(_STEP), np.uint32(_FACTORS[0]), np.uint32(_FACTORS[1])


def draw_seeds(num_layers: int, generator: torch.Generator) -> Tensor:
    """(num_layers, 2) int32 on the generator's device."""
    return torch.randint(
        -_HALF, _HALF, (num_layers, 2), generator=generator, device=generator.device, dtype=torch.int32
    )


def least_kept(rate: float) -> int:
    """A place is kept where its hash, an int32, is not below this; so the rate is a multiple of 2⁻³²."""
    return min(round(rate * 2 * _HALF), 2 * _HALF - 1) - _HALF


def drop(table_ND: Tensor, rate: float, seed: Tensor) -> Tensor:
    """The table with a share of its values made zero, and the rest scaled up to keep the mean.

    Args:
        seed: (2,) int32 on the table's device.
    """
    if rate == 0:
        return table_ND
    row_N, column_D = (torch.arange(size, device=seed.device, dtype=torch.int32) for size in table_ND.shape)
    key_N = _mixed(_mixed(row_N ^ seed[0]) ^ seed[1])
    hash_ND = _mixed(key_N[:, None] + column_D * _signed(_STEP))
    return table_ND * (hash_ND >= least_kept(rate)) / (1 - rate)


def _mixed(x: Tensor) -> Tensor:
    for shift, factor in zip((16, 15), _FACTORS, strict=True):
        x = (x ^ _shifted(x, shift)) * _signed(factor)
    return x ^ _shifted(x, 16)


def _shifted(x: Tensor, shift: int) -> Tensor:
    """To the right, without the sign."""
    return (x >> shift) & ((1 << (32 - shift)) - 1)


def _signed(x: int) -> int:
    return x - 2 * _HALF if x >= _HALF else x


@njit()
def row_key(row: Any, seed: Any) -> Any:
    """A row's part of the hash."""
    return mixed(mixed(np.uint32(row) ^ np.uint32(seed[0])) ^ np.uint32(seed[1]))


@njit()
def place_hash(key: Any, column: Any) -> Any:
    """What `least_kept` is compared with."""
    return np.int32(mixed(np.uint32(key + np.uint32(np.uint32(column) * _STEP_U))))


@njit()
def mixed(x: Any) -> Any:
    """A uint32 whose every bit depends on every bit of `x`."""
    x = np.uint32(np.uint32(x ^ (x >> np.uint32(16))) * _FACTOR_1)
    x = np.uint32(np.uint32(x ^ (x >> np.uint32(15))) * _FACTOR_2)
    return np.uint32(x ^ (x >> np.uint32(16)))
