"""MixGCF's code with random negatives: github.com/huangtinglin/MixGCF, commit 2ff0b95.

main.py (get_feed_dict and the loop), modules/LightGCN.py, modules/NGCF.py, as `--ns rns --K 1 --n_negs 1
--context_hops 3` runs them, `--pool mean` for LightGCN and `concat` for NGCF. MF is its LightGCN with 0 hops.
"""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from components.rec.data import RankingData
from tests.benchmarks.speed.peers.base import (
    BATCH_SIZE,
    DIM,
    L2,
    LEARNING_RATE,
    NUM_LAYERS,
    Peer,
    coo_tensor,
    normalized_adjacency,
)

TrainSet = Mapping[int, Sequence[int]]


@final
class MixGcf(Peer):
    """Negatives in a Python loop, all hops of all nodes stacked, Adam without `fused`.

    Its NGCF leaves a node's own embedding out of the first product (no + I in NGCF's eq. 7). With `common`
    it is there, as in recloop and RecBole.
    """

    def __init__(
        self, data: RankingData, kind: Literal["mf", "lightgcn", "ngcf"], *, common: bool = False
    ) -> None:
        hops = 0 if kind == "mf" else NUM_LAYERS
        self.model = _Ngcf(data, hops) if kind == "ngcf" else _LightGcn(data, hops)
        self.model.common = common
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=LEARNING_RATE)
        self._num_items = data.num_items
        self._pairs = torch.stack([data.user, data.item], dim=1)
        self._train_set = train_set(data)
        self._shuffled, self._start = self._pairs, len(self._pairs)

    def train(self, num_steps: int) -> int:
        for _ in range(num_steps):
            if self._start + BATCH_SIZE > len(self._pairs):
                index = np.arange(len(self._pairs))
                np.random.shuffle(index)
                self._shuffled, self._start = self._pairs[index], 0
            pairs = self._shuffled[self._start : self._start + BATCH_SIZE]
            self._start += BATCH_SIZE
            negative = torch.LongTensor(sample(pairs, self._train_set, self._num_items, 1))
            self._update(pairs[:, 0], pairs[:, 1], negative)
        return num_steps * BATCH_SIZE

    def step(self, user: Tensor, positive: Tensor, negative: Tensor) -> float:
        return self._update(user, positive, negative[:, None]).item()

    def load(self, weights: Mapping[str, Tensor]) -> None:
        self.model.load(weights)

    def _update(self, user: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        total, bpr = self.model(user, positive, negative)
        self.optimizer.zero_grad()
        total.backward()
        self.optimizer.step()
        return bpr.detach()


class _Model(nn.Module):
    """What LightGCN.py and NGCF.py have in common."""

    common: bool

    def __init__(self, data: RankingData, hops: int) -> None:
        super().__init__()
        self.user_embed = nn.Parameter(nn.init.xavier_uniform_(torch.empty(data.num_users, DIM)))
        self.item_embed = nn.Parameter(nn.init.xavier_uniform_(torch.empty(data.num_items, DIM)))
        self.adjacency = coo_tensor(normalized_adjacency(data))
        self.hops, self.num_users = hops, data.num_users

    def load(self, weights: Mapping[str, Tensor]) -> None:
        self.user_embed.data.copy_(weights["users"])
        self.item_embed.data.copy_(weights["items"])

    def forward(self, user: Tensor, positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
        """Loss with and without L2; `negative` is (B, 1)."""
        users, items = self.gcn()
        user_e, positive_e, negative_e = (
            users[user],
            items[positive],
            items[negative],
        )  # (B, [1,] hops + 1, D)
        u, p = self.pool(user_e), self.pool(positive_e)
        n = self.pool(negative_e.view(-1, negative_e.shape[2], negative_e.shape[3])).view(len(user), 1, -1)
        positive_score = torch.sum(torch.mul(u, p), dim=1)
        negative_score = torch.sum(torch.mul(u.unsqueeze(dim=1), n), dim=-1)
        bpr = torch.mean(
            torch.log(1 + torch.exp(negative_score - positive_score.unsqueeze(dim=1)).sum(dim=1))
        )
        square = (
            torch.norm(user_e[:, 0, :]) ** 2
            + torch.norm(positive_e[:, 0, :]) ** 2
            + torch.norm(negative_e[:, :, 0, :]) ** 2
        ) / 2
        return bpr + L2 * square / len(user), bpr


@final
class _LightGcn(_Model):
    def gcn(self) -> tuple[Tensor, Tensor]:
        nodes = torch.cat([self.user_embed, self.item_embed], dim=0)
        hops = [nodes]
        for _ in range(self.hops):
            nodes = torch.sparse.mm(self.adjacency, nodes)
            hops.append(nodes)
        stacked = torch.stack(hops, dim=1)
        return stacked[: self.num_users, :], stacked[self.num_users :, :]

    def pool(self, hops: Tensor) -> Tensor:
        return hops.mean(dim=1)


@final
class _Ngcf(_Model):
    def __init__(self, data: RankingData, hops: int) -> None:
        super().__init__(data, hops)
        self.weights = nn.ParameterDict()
        for hop in range(hops):
            for name in ("gc", "bi"):
                self.weights[f"W_{name}_{hop}"] = nn.Parameter(nn.init.xavier_uniform_(torch.empty(DIM, DIM)))
                self.weights[f"b_{name}_{hop}"] = nn.Parameter(nn.init.xavier_uniform_(torch.empty(1, DIM)))

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """recloop has no biases: here they stay 0."""
        super().load(weights)
        for hop in range(self.hops):
            for name, ours in (("gc", "neighbor_weights"), ("bi", "product_weights")):
                self.weights[f"W_{name}_{hop}"].data.copy_(weights[f"{ours}.{hop}"])
                self.weights[f"b_{name}_{hop}"].data.zero_()
                self.weights[f"b_{name}_{hop}"].requires_grad_(False)

    def gcn(self) -> tuple[Tensor, Tensor]:
        ego = torch.cat([self.user_embed, self.item_embed], 0)
        hops = [ego]
        for hop in range(self.hops):
            side = torch.sparse.mm(self.adjacency, ego)
            neighbors = side + ego if self.common else side
            total = torch.matmul(neighbors, self.weights[f"W_gc_{hop}"]) + self.weights[f"b_gc_{hop}"]
            product = torch.mul(ego, side)
            product = torch.matmul(product, self.weights[f"W_bi_{hop}"]) + self.weights[f"b_bi_{hop}"]
            ego = functional.leaky_relu(total + product, negative_slope=0.2)
            hops.append(functional.normalize(ego, p=2, dim=1))
        stacked = torch.stack(hops, dim=1)
        return stacked[: self.num_users, :], stacked[self.num_users :, :]

    def pool(self, hops: Tensor) -> Tensor:
        return hops.reshape(hops.shape[0], -1)


def train_set(data: RankingData) -> TrainSet:
    """Lists of items, as utils/data_loader.py collects them."""
    items = defaultdict(list)
    for user, item in zip(data.user.tolist(), data.item.tolist(), strict=True):
        items[user].append(item)
    return items


def sample(pairs: Tensor, observed: TrainSet, num_items: int, count: int) -> list[list[int]]:
    """get_feed_dict's loop: `count` negatives for each row of (user, item)."""
    negatives = []
    for user, _ in pairs.cpu().numpy():
        user = int(user)
        drawn = []
        for _ in range(count):
            while True:
                item = random.choice(range(num_items))
                if item not in observed[user]:
                    break
            drawn.append(item)
        negatives.append(drawn)
    return negatives
