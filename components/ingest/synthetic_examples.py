"""A made-up world in which labels follow from fields."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from components.core.columns import LABEL
from components.core.hashing import derive_seed
from components.core.recipe.examples import SyntheticExamples
from components.data.normalize import Rows
from components.ingest.batch import Batch
from components.ingest.synthetic import names
from components.ingest.worlds import Floats, Ids, World, classes, drawn, standardised

_GENRES: Final = ("action", "comedy", "crime", "drama", "family", "music", "science", "travel")
_DEVICES: Final = ("phone", "tablet", "desktop", "television")
_DEVICE_SHARE: Final = (0.55, 0.1, 0.3, 0.05)
_NUM_GENRES: Final = 3  # of an item, at most
# What the parts of the utility contribute to its variance.
_SHARES: Final = {"taste": 0.45, "user": 0.1, "item": 0.2, "context": 0.25}


def read(source: SyntheticExamples, inputs: Mapping[str, Path], seed: int) -> Iterator[Batch]:
    """The whole world as one batch, in which as many examples are of each class as was asked for."""
    generator = np.random.default_rng(derive_seed(seed, "ingest", "synthetic_examples"))
    shares = (_SHARES["taste"], _SHARES["user"], _SHARES["item"])
    world = World(source.num_users, source.num_items, len(_GENRES), shares, generator)
    catalogue = _Catalogue(world.trait_IF, generator)
    user_N, item_N = (
        drawn(generator.permutation(count), source.num_examples, source.popularity_exponent, generator)
        for count in (source.num_users, source.num_items)
    )
    device_N = generator.choice(len(_DEVICES), source.num_examples, p=_DEVICE_SHARE)
    price_N = np.round(catalogue.price_I[item_N] * generator.lognormal(0.0, 0.2, source.num_examples), 2)
    hour_N = np.round(generator.triangular(0.0, 19.0, 24.0, source.num_examples), 2) % 24
    utility_N = world.utility(user_N, item_N) + standardised(
        _context(device_N, price_N, hour_N, generator), _SHARES["context"]
    )
    noisy_N = standardised(utility_N, 1.0) + source.noise * generator.standard_normal(source.num_examples)
    frame = pl.DataFrame(
        {
            LABEL: pl.Series(classes(noisy_N, source.num_classes, source.positive_share), dtype=pl.Int32),
            "user": names("u", user_N, source.num_users),
            "item": names("i", item_N, source.num_items),
            "device": pl.Series(_DEVICES).gather(device_N),
            "price": price_N,
            "hour": hour_N,
            "genres": catalogue.genres_I.gather(item_N),
        }
    )
    yield Batch("synthetic", None, Rows(frame))


class _Catalogue:
    """Items with prices, and with the genres of their largest factors."""

    def __init__(self, trait_IG: Floats, generator: np.random.Generator) -> None:
        num_items = len(trait_IG)
        self.price_I = generator.lognormal(3.0, 0.8, num_items)
        count_I = generator.integers(1, _NUM_GENRES + 1, num_items)
        order_IG = np.argsort(-trait_IG, axis=1)
        lists = [
            [_GENRES[genre] for genre in sorted(order[:count])]
            for order, count in zip(order_IG.tolist(), count_I.tolist(), strict=True)
        ]
        self.genres_I = pl.Series(lists, dtype=pl.List(pl.String))


def _context(device_N: Ids, price_N: Floats, hour_N: Floats, generator: np.random.Generator) -> Floats:
    """Some devices are liked, low prices and the evening."""
    device = generator.standard_normal(len(_DEVICES))
    context_N: Floats = device[device_N] - np.log1p(price_N) + np.cos((hour_N - 20) * np.pi / 12)
    return context_N
