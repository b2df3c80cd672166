"""LightGCN-PyTorch: github.com/gusye1234/LightGCN-PyTorch.

code/model.py (PureMF and LightGCN without dropout and without A_split), code/utils.py (BPRLoss, shuffle,
minibatch, UniformSample_original_python) and code/Procedure.py (BPR_train_original). It has no NGCF.
"""

from collections.abc import Iterator, Mapping
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


@final
class LightGcnPytorch(Peer):
    """Users drawn at random, then one of their items; an epoch is sampled before its first step."""

    def __init__(self, data: RankingData, kind: Literal["mf", "lightgcn"]) -> None:
        self.model = _PureMf(data) if kind == "mf" else _LightGcn(data)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=LEARNING_RATE)
        self._num_users, self._num_items = data.num_users, data.num_items
        self._positives = positives_of(data)

    def train(self, num_steps: int) -> int:
        """An epoch of `num_steps` batches."""
        triples = sample(self._positives, self._num_users, self._num_items, num_steps * BATCH_SIZE)
        columns = [torch.Tensor(triples[:, place]).long() for place in range(3)]
        trained = 0
        for batch in _batches(_shuffled(columns)):
            self._update(*batch).cpu().item()
            trained += len(batch[0])
        return trained

    def step(self, user: Tensor, positive: Tensor, negative: Tensor) -> float:
        bpr, _ = self.model.bpr_loss(user, positive, negative)
        self._update(user, positive, negative)
        return bpr.item()

    def load(self, weights: Mapping[str, Tensor]) -> None:
        self.model.embedding_user.weight.data.copy_(weights["users"])
        self.model.embedding_item.weight.data.copy_(weights["items"])

    def _update(self, user: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        loss, square = self.model.bpr_loss(user, positive, negative)
        loss = loss + square * L2
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss


class _PureMf(nn.Module):
    def __init__(self, data: RankingData) -> None:
        super().__init__()
        self.embedding_user = nn.Embedding(data.num_users, DIM)
        self.embedding_item = nn.Embedding(data.num_items, DIM)

    def computer(self) -> tuple[Tensor, Tensor]:
        return self.embedding_user.weight, self.embedding_item.weight

    def bpr_loss(self, users: Tensor, positives: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
        """The mean loss, and ½‖·‖² of the batch's embeddings per positive."""
        user_e, positive_e, negative_e = (
            self.embedding_user(users.long()),
            self.embedding_item(positives.long()),
            self.embedding_item(negatives.long()),
        )
        loss = _bpr(user_e, positive_e, negative_e)
        return loss, _half_square(user_e, positive_e, negative_e)


@final
class _LightGcn(_PureMf):
    def __init__(self, data: RankingData) -> None:
        super().__init__(data)
        nn.init.normal_(self.embedding_user.weight, std=0.1)
        nn.init.normal_(self.embedding_item.weight, std=0.1)
        self.graph = coo_tensor(normalized_adjacency(data)).coalesce()

    def computer(self) -> tuple[Tensor, Tensor]:
        nodes = torch.cat([self.embedding_user.weight, self.embedding_item.weight])
        layers = [nodes]
        for _ in range(NUM_LAYERS):
            nodes = torch.sparse.mm(self.graph, nodes)
            layers.append(nodes)
        mean = torch.mean(torch.stack(layers, dim=1), dim=1)
        sizes = [self.embedding_user.num_embeddings, self.embedding_item.num_embeddings]
        users, items = torch.split(mean, sizes)
        return users, items

    def bpr_loss(self, users: Tensor, positives: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
        all_users, all_items = self.computer()
        user_e, positive_e, negative_e = all_users[users], all_items[positives], all_items[negatives]
        ego = self.embedding_user(users), self.embedding_item(positives), self.embedding_item(negatives)
        return _bpr(user_e, positive_e, negative_e), _half_square(*ego)


def _bpr(user_e: Tensor, positive_e: Tensor, negative_e: Tensor) -> Tensor:
    positive_score = torch.sum(torch.mul(user_e, positive_e), dim=1)
    negative_score = torch.sum(torch.mul(user_e, negative_e), dim=1)
    return torch.mean(functional.softplus(negative_score - positive_score))


def _half_square(*embeddings: Tensor) -> Tensor:
    return 0.5 * sum(e.norm(2).pow(2) for e in embeddings) / float(len(embeddings[0]))


def positives_of(data: RankingData) -> list[np.ndarray]:
    """allPos: each user's train items."""
    offsets, values = data.train.offsets.numpy(), data.train.values.numpy()
    return [values[offsets[user] : offsets[user + 1]] for user in range(data.num_users)]


def sample(positives: list[np.ndarray], num_users: int, num_items: int, count: int) -> np.ndarray:
    """UniformSample_original_python: (at most `count`, 3) of user, positive, negative."""
    users = np.random.randint(0, num_users, count)
    triples = []
    for user in users:
        observed = positives[user]
        if len(observed) == 0:
            continue
        positive = observed[np.random.randint(0, len(observed))]
        while True:
            negative = np.random.randint(0, num_items)
            if negative not in observed:
                break
        triples.append([user, positive, negative])
    return np.array(triples)


def _shuffled(columns: list[Tensor]) -> list[Tensor]:
    order = np.arange(len(columns[0]))
    np.random.shuffle(order)
    return [column[order] for column in columns]


def _batches(columns: list[Tensor]) -> Iterator[tuple[Tensor, ...]]:
    for start in range(0, len(columns[0]), BATCH_SIZE):
        yield tuple(column[start : start + BATCH_SIZE] for column in columns)
