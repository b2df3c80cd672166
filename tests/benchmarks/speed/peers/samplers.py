"""Negatives as other projects draw them: in Python, user by user. (B,) users in, (B,) items out.

Uniform draws are in the modules of their projects. MixGCF knows no popularity and no AOBPR: there its loop
is given the draw that Python offers.
"""

import itertools
import random
from collections import Counter

import numpy as np
import torch
from torch import Tensor

from components.rec.data import RankingData
from tests.benchmarks.speed.peers import mixgcf, recbole


def popularity_loop(observed: mixgcf.TrainSet, cumulative: list[float], user_B: Tensor) -> list[int]:
    """MixGCF's loop with `random.choices` in place of `random.choice`."""
    items = range(len(cumulative))
    negatives = []
    for user in user_B.tolist():
        while True:
            item = random.choices(items, cum_weights=cumulative)[0]
            if item not in observed[user]:
                break
        negatives.append(item)
    return negatives


def cumulative_popularity(data: RankingData, beta: float) -> list[float]:
    """(I,) running sums of popularity ** beta."""
    return list(itertools.accumulate((data.popularity.clamp(min=1).double() ** beta).tolist()))


class RecBolePopularity:
    """Sampler with distribution `popularity`: an alias table in dictionaries."""

    def __init__(self, data: RankingData, alpha: float) -> None:
        self._used = recbole.used_items(data)
        counts = Counter(data.item.tolist())
        total = sum(count**alpha for count in counts.values())
        self._prob = {item: count**alpha / total * len(counts) for item, count in counts.items()}
        self._alias = dict.fromkeys(counts, -1)
        large = [item for item, share in self._prob.items() if share > 1]
        small = [item for item, share in self._prob.items() if share < 1]
        while large and small:
            giver, taker = large.pop(0), small.pop(0)
            self._alias[taker] = giver
            self._prob[giver] -= 1 - self._prob[taker]
            if self._prob[giver] != 1:
                (small if self._prob[giver] < 1 else large).append(giver)

    def sample(self, user_B: Tensor) -> Tensor:
        """As sample_by_key_ids."""
        user = user_B.numpy()
        items = np.zeros(len(user), dtype=np.int64)
        to_draw = np.arange(len(user))
        while len(to_draw) > 0:
            items[to_draw] = self._draw(len(to_draw))
            pairs = zip(to_draw, self._used[user[to_draw]], items[to_draw], strict=True)
            to_draw = np.array([place for place, used, item in pairs if item in used], dtype=np.int64)
        return torch.tensor(items)

    def _draw(self, count: int) -> np.ndarray:
        keys = list(self._prob.keys())
        drawn = []
        places, shares = np.random.randint(0, len(keys), count), np.random.random(count)
        for place, share in zip(places, shares, strict=True):
            item = keys[place]
            drawn.append(item if self._prob[item] > share else self._alias[item])
        return np.array(drawn)


def dns_mixgcf(
    users: Tensor, items: Tensor, observed: mixgcf.TrainSet, user_B: Tensor, pool_size: int
) -> Tensor:
    """get_feed_dict with n_negs = `pool_size`, and negative_sampling without its mixing."""
    pairs = torch.stack([user_B, user_B], dim=1)
    pool = torch.LongTensor(mixgcf.sample(pairs, observed, len(items), pool_size))
    scores = (users[user_B].unsqueeze(dim=1) * items[pool]).sum(dim=-1)
    best = torch.max(scores, dim=1)[1].detach()
    return pool[torch.arange(len(user_B)), best]


def dns_recbole(users: Tensor, items: Tensor, used: np.ndarray, user_B: Tensor, pool_size: int) -> Tensor:
    """_neg_sampling with `dynamic`."""
    pool = recbole.sample(used, user_B.numpy(), len(items), pool_size)
    scores = torch.mul(users[user_B.repeat(pool_size)], items[pool]).sum(dim=1).reshape(pool_size, -1)
    best = torch.max(scores, dim=0)[1].detach()
    candidates = pool.reshape(pool_size, -1)
    return candidates[best, list(range(candidates.shape[1]))].view(-1)


def aobpr_loop(
    users: Tensor, items: Tensor, positives: list[np.ndarray], user_B: Tensor, lambda_: float
) -> list[int]:
    """Every unobserved item of one user scored and sorted, the rank drawn from exp(−rank / λ)."""
    negatives = []
    for user in user_B.tolist():
        score = torch.matmul(items, users[user]).numpy()
        score[positives[user]] = -np.inf
        ranked = np.argsort(-score)
        last = len(ranked) - len(positives[user]) - 1
        rank = min(int(random.expovariate(1 / lambda_)), last) if lambda_ else 0
        negatives.append(int(ranked[rank]))
    return negatives
