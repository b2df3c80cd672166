"""Tensors that come from disk."""

from pathlib import Path

import pytest
import torch

from components.core.errors import IntegrityError
from components.rec.weights import load_tensors, save_tensors

CPU = torch.device("cpu")


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    tensors = {"a": torch.ones(3, 4), "b.c": torch.arange(2)}
    save_tensors(tensors, tmp_path / "a.safetensors")
    found = load_tensors(tmp_path / "a.safetensors", CPU)
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize("size", [0, 7, 1 << 20, 1 << 62])
def test_a_header_beyond_its_file_is_told(tmp_path: Path, size: int) -> None:
    place = tmp_path / "a.safetensors"
    place.write_bytes(size.to_bytes(8, "little") + b'{"a": {"dtype": "F32", "shape": [1')
    with pytest.raises(IntegrityError, match=r"a\.safetensors: holds no tensors as safetensors"):
        load_tensors(place, CPU)
