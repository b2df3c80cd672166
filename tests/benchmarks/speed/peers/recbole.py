"""RecBole 1.2.1: pypi.org/project/recbole, github.com/RUCAIBox/RecBole.

trainer/trainer.py (_train_epoch), data/dataloader (TrainDataLoader, pairwise), sampler/sampler.py (uniform),
model/general_recommender (BPR, LightGCN, NGCF), model/layers.py (BiGNNLayer) and model/loss.py.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, final

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

_GAMMA = 1e-10  # of BPRLoss
_MESSAGE_DROPOUT = 0.1


@final
class RecBole(Peer):
    """torch's DataLoader over row numbers, negatives by a vectorised draw and a Python check against sets.

    Its BPR has no L2, its NGCF takes the L2 of propagated embeddings and hands normalised rows to the next
    layer. With `common` all of this, and NGCF's dropout, is as in recloop and the other peers.
    """

    def __init__(
        self, data: RankingData, kind: Literal["mf", "lightgcn", "ngcf"], *, common: bool = False
    ) -> None:
        self.model = {"mf": _Bpr, "lightgcn": _LightGcn, "ngcf": _Ngcf}[kind](data)
        self.model.common = common
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
        self._columns = {"user": data.user, "item": data.item}
        self._used, self._num_items = used_items(data), data.num_items
        self._loader = torch.utils.data.DataLoader(
            list(range(len(data))),
            batch_size=BATCH_SIZE,
            collate_fn=self._collate,
            shuffle=True,
            generator=torch.Generator().manual_seed(2020),
        )
        self._batches: Iterator[dict[str, Tensor]] = iter(())
        self._total = 0.0

    def train(self, num_steps: int) -> int:
        trained = 0
        self.model.train()
        for _ in range(num_steps):
            batch = next(self._batches, None)
            if batch is None:
                self._batches = iter(self._loader)
                batch = next(self._batches)
            loss, _ = self._loss(batch)
            self._total += loss.item()
            if torch.isnan(loss):
                raise ValueError("Training loss is nan")
            loss.backward()
            self.optimizer.step()
            trained += len(batch["user"])
        return trained

    def step(self, user: Tensor, positive: Tensor, negative: Tensor) -> float:
        total, bpr = self._loss({"user": user, "item": positive, "neg_item": negative})
        total.backward()
        self.optimizer.step()
        return bpr.item()

    def load(self, weights: Mapping[str, Tensor]) -> None:
        self.model.load(weights)

    def _loss(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        self.optimizer.zero_grad()
        return self.model.calculate_loss(batch["user"], batch["item"], batch["neg_item"])

    def _collate(self, index: list[int]) -> dict[str, Tensor]:
        rows = np.array(index).tolist()
        batch = {name: column[rows] for name, column in self._columns.items()}
        batch = {name: column.repeat([1]) for name, column in batch.items()}
        batch["neg_item"] = sample(self._used, batch["user"].numpy(), self._num_items, 1)
        return batch


class _Bpr(nn.Module):
    common: bool

    def __init__(self, data: RankingData) -> None:
        super().__init__()
        self.user_embedding = nn.Embedding(data.num_users, DIM)
        self.item_embedding = nn.Embedding(data.num_items, DIM)
        nn.init.xavier_normal_(self.user_embedding.weight)
        nn.init.xavier_normal_(self.item_embedding.weight)

    def load(self, weights: Mapping[str, Tensor]) -> None:
        self.user_embedding.weight.data.copy_(weights["users"])
        self.item_embedding.weight.data.copy_(weights["items"])

    def calculate_loss(self, user: Tensor, positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
        """With and without L2."""
        embeddings = self.user_embedding(user), self.item_embedding(positive), self.item_embedding(negative)
        bpr = _bpr(*embeddings)
        return (bpr + L2 * _half_square(*embeddings) if self.common else bpr), bpr


@final
class _LightGcn(_Bpr):
    def __init__(self, data: RankingData) -> None:
        super().__init__(data)
        self.adjacency = coo_tensor(normalized_adjacency(data))

    def forward(self) -> tuple[Tensor, Tensor]:
        nodes = torch.cat([self.user_embedding.weight, self.item_embedding.weight], dim=0)
        layers = [nodes]
        for _ in range(NUM_LAYERS):
            nodes = torch.sparse.mm(self.adjacency, nodes)
            layers.append(nodes)
        mean = torch.mean(torch.stack(layers, dim=1), dim=1)
        return _split(self, mean)

    def calculate_loss(self, user: Tensor, positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
        users, items = self.forward()
        bpr = _bpr(users[user], items[positive], items[negative])
        ego = self.user_embedding(user), self.item_embedding(positive), self.item_embedding(negative)
        return bpr + L2 * (_half_square(*ego) if self.common else _norms(*ego)), bpr


@final
class _Ngcf(_Bpr):
    def __init__(self, data: RankingData) -> None:
        super().__init__(data)
        self.adjacency = coo_tensor(normalized_adjacency(data))
        self.linear = nn.ModuleList(nn.Linear(DIM, DIM) for _ in range(NUM_LAYERS))
        self.product = nn.ModuleList(nn.Linear(DIM, DIM) for _ in range(NUM_LAYERS))
        self.dropout = nn.Dropout(_MESSAGE_DROPOUT)

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """recloop has no biases: here they stay 0."""
        super().load(weights)
        for layers, ours in ((self.linear, "neighbor_weights"), (self.product, "product_weights")):
            for place, layer in enumerate(layers):
                layer.weight.data.copy_(weights[f"{ours}.{place}"].T)
                layer.bias.data.zero_()
                layer.bias.requires_grad_(False)

    def forward(self) -> tuple[Tensor, Tensor]:
        nodes = torch.cat([self.user_embedding.weight, self.item_embedding.weight], dim=0)
        layers = [nodes]
        for linear, product in zip(self.linear, self.product, strict=True):
            side = torch.sparse.mm(self.adjacency, nodes)
            nodes = linear(nodes + side) + product(torch.mul(side, nodes))
            nodes = functional.leaky_relu(nodes, negative_slope=0.2)
            if not self.common:
                nodes = self.dropout(nodes)
                nodes = functional.normalize(nodes, p=2, dim=1)
            layers.append(functional.normalize(nodes, p=2, dim=1) if self.common else nodes)
        return _split(self, torch.cat(layers, dim=1))

    def calculate_loss(self, user: Tensor, positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
        users, items = self.forward()
        embeddings = users[user], items[positive], items[negative]
        bpr = _bpr(*embeddings)
        if not self.common:
            return bpr + L2 * _norms(*embeddings), bpr
        ego = self.user_embedding(user), self.item_embedding(positive), self.item_embedding(negative)
        return bpr + L2 * _half_square(*ego), bpr


def _split(model: Any, nodes: Tensor) -> tuple[Tensor, Tensor]:
    users, items = torch.split(
        nodes, [model.user_embedding.num_embeddings, model.item_embedding.num_embeddings]
    )
    return users, items


def _bpr(user_e: Tensor, positive_e: Tensor, negative_e: Tensor) -> Tensor:
    positive_score = torch.mul(user_e, positive_e).sum(dim=1)
    negative_score = torch.mul(user_e, negative_e).sum(dim=1)
    return -torch.log(_GAMMA + torch.sigmoid(positive_score - negative_score)).mean()


def _norms(*embeddings: Tensor) -> Tensor:
    """EmbLoss as it is by default: norms that are not squared."""
    return sum(torch.norm(e, p=2) for e in embeddings) / embeddings[-1].shape[0]


def _half_square(*embeddings: Tensor) -> Tensor:
    """EmbLoss with require_pow."""
    return sum(torch.pow(torch.norm(e, p=2), 2) for e in embeddings) / embeddings[-1].shape[0] / 2


def used_items(data: RankingData) -> np.ndarray:
    """(U,) sets of train items, as Sampler.get_used_ids makes them."""
    used = np.array([set() for _ in range(data.num_users)])
    for user, item in zip(data.user.tolist(), data.item.tolist(), strict=True):
        used[user].add(item)
    return used


def sample(used: np.ndarray, user: np.ndarray, num_items: int, count: int) -> Tensor:
    """sample_by_key_ids: (B · count,) uniform items, `count` blocks of B."""
    user = np.tile(np.array(user), count)
    items = np.zeros(len(user), dtype=np.int64)
    to_draw = np.arange(len(user))
    while len(to_draw) > 0:
        items[to_draw] = np.random.randint(0, num_items, len(to_draw))
        to_draw = np.array(
            [
                place
                for place, observed, item in zip(to_draw, used[user[to_draw]], items[to_draw], strict=True)
                if item in observed
            ],
            dtype=np.int64,
        )
    return torch.tensor(items, dtype=torch.long)
