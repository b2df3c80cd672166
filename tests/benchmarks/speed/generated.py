"""Generated interactions of any size: distinct pairs, power laws on both sides.

python -m tests.benchmarks.speed.generated SET FILE [--ids integer|string]        writes them as Parquet
"""

import argparse
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from components.rec.csr import Csr
from components.rec.data import RankingData

_BLOCK = 1 << 21  # pairs that are made distinct at a time
_USER_EXPONENT, _ITEM_EXPONENT = 0.5, 0.8
_SHIFT = 20  # ranks: how flat the head of both power laws is
_MOST_SHARE = 0.1  # of the items one user has at most
_ROUNDS_BY_POPULARITY = 6  # of redrawing duplicates, before they are drawn uniformly


@final
@dataclass(frozen=True)
class Interactions:
    """Distinct pairs, sorted by user and item.

    Attributes:
        user, item: (n,) int32, dense ids. Not every item need occur.
    """

    num_users: int
    num_items: int
    user: np.ndarray
    item: np.ndarray

    def __len__(self) -> int:
        return len(self.user)

    def ranking_data(self, *, seed: int = 0, device: str = "cpu") -> RankingData:
        """Split 3:1:1 at random; train and valid as the training stages have them."""
        part = np.random.default_rng(seed).random(len(self), dtype=np.float32)
        user, item = self._pairs(part < 0.6, device)
        valid_user, valid_item = self._pairs((part >= 0.6) & (part < 0.8), device)
        return RankingData(
            self.num_users,
            self.num_items,
            user,
            item,
            train=Csr.from_pairs(user, item, self.num_users),
            valid=Csr.from_pairs(valid_user, valid_item, self.num_users),
        )

    def write_parquet(self, path: Path, *, ids: Literal["integer", "string"] = "integer") -> None:
        """user_id and item_id in scattered order, as an export has them."""
        kind = pa.int64() if ids == "integer" else pa.string()
        schema = pa.schema({"user_id": kind, "item_id": kind})
        with pq.ParquetWriter(path, schema) as writer:
            for start in range(0, len(self), _BLOCK):
                rows = self._scattered(start, min(start + _BLOCK, len(self)))
                columns = [pa.array(self.user[rows], pa.int64()), pa.array(self.item[rows], pa.int64())]
                if ids == "string":
                    columns = [
                        pa.compute.binary_join_element_wise(prefix, column.cast(pa.string()), "-")
                        for prefix, column in zip(("user", "item"), columns, strict=True)
                    ]
                writer.write_table(pa.table(columns, schema=schema))

    def _pairs(self, keep: np.ndarray, device: str) -> tuple[torch.Tensor, torch.Tensor]:
        user, item = (torch.from_numpy(side[keep]).to(device, torch.int64) for side in (self.user, self.item))
        return user, item

    def _scattered(self, start: int, stop: int) -> np.ndarray:
        """A permutation of all rows without a table of it: multiples of a number coprime to their count."""
        return np.arange(start, stop, dtype=np.int64) * self._stride % len(self)

    @cached_property
    def _stride(self) -> int:
        stride = int(len(self) * 0.6180339887) | 1
        while np.gcd(stride, len(self)) != 1:
            stride += 2
        return stride


def generate(num_users: int, num_items: int, num_interactions: int, seed: int) -> Interactions:
    """Users and items follow power laws; a user has at most a tenth of the items.

    Temporary memory does not grow with the number of pairs.
    """
    rng = np.random.default_rng(seed)
    degrees = _degrees(num_users, num_interactions, max(1, int(num_items * _MOST_SHARE)), rng)
    weights = _power_law(num_items, _ITEM_EXPONENT, rng)
    upto = np.cumsum(weights / weights.sum())
    user = np.repeat(np.arange(num_users, dtype=np.int32), degrees)
    item = np.empty(num_interactions, np.int32)
    ends = np.cumsum(degrees)
    first = 0
    while first < num_users:
        begin = ends[first] - degrees[first]
        last = max(first + 1, int(np.searchsorted(ends, begin + _BLOCK, side="right")))
        block = slice(begin, ends[last - 1])
        item[block] = _distinct_items(user[block], degrees[first:last], first, upto, rng)
        first = last
    return Interactions(num_users, num_items, user, item)


def alibaba() -> Interactions:
    """The statistics of the Alibaba set of MixGCF and AutoSample."""
    return generate(106_042, 53_591, 907_470, seed=0)


def gowalla() -> Interactions:
    """The statistics of the Gowalla set of NGCF and LightGCN."""
    return generate(29_858, 40_981, 1_027_370, seed=0)


def millions(count: int) -> Interactions:
    """`count` million interactions, 20 for each user, of always the same number of items: a full ranking
    scores every user with every item, and only so does its cost grow with the interactions alone."""
    return generate(count * 50_000, 50_000, count * 1_000_000, seed=0)


SETS = {
    "alibaba": alibaba,
    "gowalla": gowalla,
    "1m": lambda: millions(1),
    "10m": lambda: millions(10),
    "100m": lambda: millions(100),
    "small": lambda: generate(2_000, 1_000, 40_000, seed=0),
}


def _power_law(count: int, exponent: float, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation((np.arange(count) + _SHIFT) ** -exponent)


def _degrees(num_users: int, total: int, most: int, rng: np.random.Generator) -> np.ndarray:
    """(U,) interactions of each user: a third of the mean for everyone, the rest by a power law."""
    least = max(1, total // num_users // 3)
    if not num_users * least <= total <= num_users * most:
        raise ValueError(f"{total} interactions of {num_users} users: need {least} to {most} for each")
    weights = _power_law(num_users, _USER_EXPONENT, rng)
    extra = np.floor(weights / weights.sum() * (total - num_users * least)).astype(np.int64)
    degrees = np.minimum(least + extra, most)
    while missing := total - int(degrees.sum()):
        open_to_more = np.flatnonzero(degrees < most)
        degrees[rng.choice(open_to_more, min(missing, len(open_to_more)), replace=False)] += 1
    return degrees


def _distinct_items(
    user: np.ndarray, degrees: np.ndarray, first: int, upto: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Each user's items by popularity without replacement, ascending within a user."""
    width = len(upto)
    local = user.astype(np.int64) - first
    key, missing, rounds = np.empty(0, np.int64), local, 0
    while len(missing):
        if rounds < _ROUNDS_BY_POPULARITY:
            drawn = np.searchsorted(upto, rng.random(len(missing)) * upto[-1], side="right")
        else:
            drawn = rng.integers(width, size=len(missing))
        key = np.sort(np.concatenate([key, missing * width + drawn]))
        key = key[np.concatenate([[True], key[1:] != key[:-1]])]
        lacking = degrees - np.bincount(key // width, minlength=len(degrees))
        missing = np.repeat(np.arange(len(degrees)), lacking)
        rounds += 1
    return (key % width).astype(np.int32)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("set", choices=SETS)
    parser.add_argument("file", type=Path)
    parser.add_argument("--ids", choices=["integer", "string"], default="integer")
    arguments = parser.parse_args()
    SETS[arguments.set]().write_parquet(arguments.file, ids=arguments.ids)
