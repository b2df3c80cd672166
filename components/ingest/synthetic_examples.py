"""A made-up world in which labels follow from fields."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from components.core.columns import LABEL
from components.core.hashing import derive_seed
from components.core.recipe.examples import SyntheticExamples
from components.data.normalize import Rows
from components.ingest.batch import Batch
from components.ingest.synthetic import names

_GENRES: Final = ("action", "comedy", "crime", "drama", "family", "music", "science", "travel")
_DEVICES: Final = ("phone", "tablet", "desktop", "television")
_DEVICE_SHARE: Final = (0.55, 0.1, 0.3, 0.05)
_NUM_GENRES: Final = 3  # of an item, at most
# What the parts of the utility contribute to its variance.
_SHARES: Final = {"taste": 0.45, "user": 0.1, "item": 0.2, "context": 0.25}
Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def read(source: SyntheticExamples, inputs: Mapping[str, Path], seed: int) -> Iterator[Batch]:
    """The whole world as one batch, in which as many examples are of each class as was asked for."""
    generator = np.random.default_rng(derive_seed(seed, "ingest", "synthetic_examples"))
    world = _World(source, generator)
    user_N = _drawn(source.num_users, source, generator)
    item_N = _drawn(source.num_items, source, generator)
    device_N = generator.choice(len(_DEVICES), source.num_examples, p=_DEVICE_SHARE)
    price_N = np.round(world.price_I[item_N] * generator.lognormal(0.0, 0.2, source.num_examples), 2)
    hour_N = np.round(generator.triangular(0.0, 19.0, 24.0, source.num_examples), 2) % 24
    utility_N = world.utility(user_N, item_N) + _standardised(
        _context(device_N, price_N, hour_N, generator), _SHARES["context"]
    )
    noisy_N = _standardised(utility_N, 1.0) + source.noise * generator.standard_normal(source.num_examples)
    frame = pl.DataFrame(
        {
            LABEL: pl.Series(_classes(noisy_N, source), dtype=pl.Int32),
            "user": names("u", user_N, source.num_users),
            "item": names("i", item_N, source.num_items),
            "device": pl.Series(_DEVICES).gather(device_N),
            "price": price_N,
            "hour": hour_N,
            "genres": world.genres_I.gather(item_N),
        }
    )
    yield Batch("synthetic", None, Rows(frame))


class _World:
    """Users and items: a factor a genre, and a bias; an item has the genres of its largest factors."""

    def __init__(self, source: SyntheticExamples, generator: np.random.Generator) -> None:
        self._taste_UG = generator.standard_normal((source.num_users, len(_GENRES)))
        self._trait_IG = generator.standard_normal((source.num_items, len(_GENRES)))
        self._bias_U = generator.standard_normal(source.num_users)
        self._bias_I = generator.standard_normal(source.num_items)
        self.price_I = generator.lognormal(3.0, 0.8, source.num_items)
        count_I = generator.integers(1, _NUM_GENRES + 1, source.num_items)
        order_IG = np.argsort(-self._trait_IG, axis=1)
        lists = [
            [_GENRES[genre] for genre in sorted(order[:count])]
            for order, count in zip(order_IG.tolist(), count_I.tolist(), strict=True)
        ]
        self.genres_I = pl.Series(lists, dtype=pl.List(pl.String))

    def utility(self, user_N: Ids, item_N: Ids) -> Floats:
        """What users think of items."""
        taste_N = np.einsum("ng,ng->n", self._taste_UG[user_N], self._trait_IG[item_N])
        return (
            _standardised(taste_N, _SHARES["taste"])
            + _standardised(self._bias_U[user_N], _SHARES["user"])
            + _standardised(self._bias_I[item_N], _SHARES["item"])
        )


def _drawn(count: int, source: SyntheticExamples, generator: np.random.Generator) -> Ids:
    """One of so many for each example, by a power of its rank."""
    weight = (generator.permutation(count) + 1.0) ** -source.popularity_exponent
    return generator.choice(count, source.num_examples, p=weight / weight.sum())


def _context(device_N: Ids, price_N: Floats, hour_N: Floats, generator: np.random.Generator) -> Floats:
    """Some devices are liked, low prices and the evening."""
    device = generator.standard_normal(len(_DEVICES))
    context_N: Floats = device[device_N] - np.log1p(price_N) + np.cos((hour_N - 20) * np.pi / 12)
    return context_N


def _standardised(value_N: Floats, variance: float) -> Floats:
    """The same with mean 0 and a variance; what does not vary stays without."""
    deviation = value_N.std()
    scaled_N: Floats = (value_N - value_N.mean()) * (np.sqrt(variance) / deviation if deviation else 0.0)
    return scaled_N


def _classes(utility_N: Floats, source: SyntheticExamples) -> Ids:
    """The slice of each utility, from the lowest."""
    if source.num_classes == 2:
        shares = [1 - source.positive_share]
    else:
        shares = [place / source.num_classes for place in range(1, source.num_classes)]
    return np.searchsorted(np.quantile(utility_N, shares), utility_N, side="right")
