"""A made-up world in which things happen one after the other."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from components.core.columns import LABEL, TIMESTAMP
from components.core.hashing import derive_seed
from components.core.recipe.stream_data import SyntheticStream
from components.data.normalize import Rows
from components.ingest.batch import Batch
from components.ingest.synthetic import names
from components.ingest.worlds import World, classes, drawn, standardised

_NUM_FACTORS: Final = 8
_SHARES: Final = (0.5, 0.2, 0.3)  # of taste, users and items in the variance of utilities
_START: Final = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())
_SPAN_S: Final = 30 * 24 * 3600  # of a delivery


def read(source: SyntheticStream, inputs: Mapping[str, Path], seed: int) -> Iterator[Batch]:
    """One delivery as one batch, in the order of its times; all deliveries come from the same world."""
    world_of = np.random.default_rng(derive_seed(seed, "ingest", "synthetic_stream"))
    world = World(source.num_users, source.num_items, _NUM_FACTORS, _SHARES, world_of)
    ranks = [world_of.permutation(count) for count in (source.num_users, source.num_items)]
    generator = np.random.default_rng(derive_seed(seed, "ingest", "synthetic_stream", str(source.delivery)))
    size, exponent = source.num_interactions, source.popularity_exponent
    user_N, item_N = (drawn(rank_N, size, exponent, generator) for rank_N in ranks)
    utility_N = standardised(world.utility(user_N, item_N), 1.0)
    noisy_N = utility_N + source.noise * generator.standard_normal(size)
    time_N = np.sort(generator.integers(0, _SPAN_S, size)) + _START + (source.delivery - 1) * _SPAN_S
    frame = pl.DataFrame(
        {
            LABEL: pl.Series(classes(noisy_N, source.num_classes), dtype=pl.Int32),
            "user": names("u", user_N, source.num_users),
            "item": names("i", item_N, source.num_items),
            TIMESTAMP: time_N,
        }
    )
    yield Batch("synthetic", None, Rows(frame))
