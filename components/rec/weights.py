"""Tensors on disk, as safetensors."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from components.core.errors import IntegrityError


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write named tensors; the bytes depend on nothing else."""
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)


def load_tensors(path: Path, device: torch.device) -> dict[str, Tensor]:
    """Read named tensors.

    Raises:
        IntegrityError: the file holds something else.
    """
    try:
        return load_file(path, device=str(device))
    except SafetensorError as error:
        raise IntegrityError(f"{path}: holds no tensors as safetensors: {error}") from error


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`tensors` under `prefix.`."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def without_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that `prefixed` named."""
    start = f"{prefix}."
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
