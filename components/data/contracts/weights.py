"""What a file of weights must be."""

from pathlib import Path

import numpy as np

from components.data.contracts.examination import Fact


def weight_facts(path: Path, *, expected: bool) -> dict[str, Fact]:
    """Whether the file is there if and only if it is expected, and how many weights are not finite."""
    facts: dict[str, Fact] = {"is there": (path.is_file(), expected, expected)}
    if path.is_file():
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            tensors = load_file(path)
        except SafetensorError:
            return {**facts, "readable": (0, 1, 1)}
        bad = sum(int((~np.isfinite(tensor)).sum()) for tensor in tensors.values())
        facts["weights not finite"] = (bad, 0, 0)
    return facts
