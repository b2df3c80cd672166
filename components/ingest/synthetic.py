"""A made-up world in which taste can be learned."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from components.core.columns import ITEM_ID, TIMESTAMP, USER_ID
from components.core.hashing import derive_seed
from components.core.recipe.source import SyntheticSource
from components.data.normalize import Rows
from components.ingest.batch import Batch

_START: Final = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())
_SPAN_S: Final = 365 * 24 * 3600
_SPREAD: Final = 0.5  # deviation of the logarithm of interactions per user
_MAX_ROUNDS: Final = 100
Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def read(source: SyntheticSource, inputs: Mapping[str, Path], seed: int) -> Iterator[Batch]:
    """The whole world as one batch of distinct pairs with times in one year."""
    generator = np.random.default_rng(derive_seed(seed, "ingest", "synthetic"))
    user, item = _interactions(source, generator)
    frame = pl.DataFrame(
        {
            USER_ID: names("u", user, source.num_users),
            ITEM_ID: names("i", item, source.num_items),
            TIMESTAMP: _START + generator.integers(0, _SPAN_S, len(user)),
        }
    )
    yield Batch("synthetic", None, Rows(frame))


def _interactions(source: SyntheticSource, generator: np.random.Generator) -> tuple[Ids, Ids]:
    """Distinct pairs. Pairs that were drawn before are drawn again, for a while: a user who wants nearly
    the whole catalogue may end with a little less."""
    num_clusters = min(source.num_clusters, source.num_items)
    catalogue = _Catalogue(source, num_clusters, generator)
    cluster_U = generator.integers(0, num_clusters, source.num_users)
    # lognormal with the mean that was asked for
    mean_log = np.log(source.interactions_per_user) - _SPREAD**2 / 2
    wanted_U = np.rint(generator.lognormal(mean_log, _SPREAD, source.num_users)).astype(np.int64)
    wanted_U = np.clip(wanted_U, 1, source.num_items)
    pairs = np.empty(0, np.int64)
    for _ in range(_MAX_ROUNDS):
        missing_U = wanted_U - np.bincount(pairs // source.num_items, minlength=source.num_users)
        user = np.repeat(np.arange(source.num_users), missing_U)
        if not len(user):
            break
        item = catalogue.draw(cluster_U[user], source.affinity, generator)
        pairs = np.union1d(pairs, user * source.num_items + item)
    return pairs // source.num_items, pairs % source.num_items


class _Catalogue:
    """Items with clusters and power-law popularity, laid out so that a cluster is a contiguous run."""

    def __init__(self, source: SyntheticSource, num_clusters: int, generator: np.random.Generator) -> None:
        rank_I = generator.permutation(source.num_items)
        weight_I = (rank_I + 1.0) ** -source.popularity_exponent
        cluster_I = generator.permutation(np.arange(source.num_items) % num_clusters)
        self._item_I = np.argsort(cluster_I, kind="stable")
        self._edge_I = np.concatenate([[0.0], np.cumsum(weight_I[self._item_I])])
        first = np.searchsorted(cluster_I[self._item_I], np.arange(num_clusters + 1))
        self._low_C, self._high_C = self._edge_I[first[:-1]], self._edge_I[first[1:]]

    def draw(self, cluster_N: Ids, affinity: float, generator: np.random.Generator) -> Ids:
        """An item for each entry, of its own cluster with probability `affinity`."""
        own_N = generator.random(len(cluster_N)) < affinity
        low_N = np.where(own_N, self._low_C[cluster_N], 0.0)
        high_N = np.where(own_N, self._high_C[cluster_N], self._edge_I[-1])
        place_N = low_N + generator.random(len(cluster_N)) * (high_N - low_N)
        index_N = np.searchsorted(self._edge_I, place_N, side="right") - 1
        item_N: Ids = self._item_I[np.minimum(index_N, len(self._item_I) - 1)]
        return item_N


def names(letter: str, number_N: Ids, count: int) -> list[str]:
    """Names of equal length: the letter, and a number below `count`."""
    width = len(str(count))
    return [f"{letter}{number:0{width}d}" for number in number_N.tolist()]
