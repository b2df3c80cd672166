"""Slices of a stream's tail: by how often the user, or the item, had been seen (ESAPN §3.6)."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, get_args

import numpy as np

from components.core.recipe.stream_judgement import TIMES, Seen
from components.data.parquet import read_table
from components.evaluate.classification.slices import Slice

_EDGES: Final = (1, 10, 100, 1000)  # where the next of TIMES begins


def read_slices(inputs: Mapping[str, Path]) -> Iterator[Slice]:
    """All of them, also without interactions: a guardrail may look at any."""
    table = read_table(inputs["model"] / "predictions.parquet")
    for field in get_args(Seen):
        place_N = np.searchsorted(_EDGES, table[field].to_numpy(), side="right")
        for place, times in enumerate(TIMES):
            yield Slice(field, times, place_N == place)
