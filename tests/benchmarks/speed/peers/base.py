"""What every peer offers to the benchmark and to the check of its losses."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from components.rec.data import RankingData

DIM, BATCH_SIZE, NUM_LAYERS, LEARNING_RATE, L2 = 64, 1024, 3, 1e-3, 1e-4


class Peer(ABC):
    """One project's model with its optimizer and its loop.

    Attributes:
        model: its parameters are named as that project names them.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer

    @abstractmethod
    def train(self, num_steps: int) -> int:
        """So many steps of its published loop, sampling included; the number of positives."""

    @abstractmethod
    def step(self, user: Tensor, positive: Tensor, negative: Tensor) -> float:
        """One step on a given batch, all (B,); the mean BPR loss without regularisation."""

    @abstractmethod
    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take over the weights of recloop's model of the same kind."""


def coo_tensor(matrix: sp.spmatrix) -> Tensor:
    """float32, as all three hand it to torch.sparse.mm."""
    coo = matrix.tocoo()
    index = torch.from_numpy(np.stack([coo.row, coo.col]).astype(np.int64))
    values = torch.from_numpy(coo.data.astype(np.float32))
    return torch.sparse_coo_tensor(index, values, coo.shape, check_invariants=False)


def normalized_adjacency(data: RankingData) -> sp.coo_matrix:
    """D^-½ A D^-½ of users and items, float64."""
    size = data.num_users + data.num_items
    user, item = data.user.numpy(), data.item.numpy() + data.num_users
    ends = np.concatenate([user, item]), np.concatenate([item, user])
    adjacency = sp.coo_matrix((np.ones(2 * len(data)), ends), shape=(size, size))
    degree = np.asarray(adjacency.sum(axis=1)).ravel()
    scale = sp.diags(np.where(degree > 0, degree, np.inf) ** -0.5)
    return scale.dot(adjacency).dot(scale).tocoo()
