"""Whether recloop and its peers compute the same: losses from the same weights on the same batches.

Every user of the data lacks a single item. So whoever draws a negative draws that one, and each side can
be driven through its own interface.
"""

import numpy as np
import torch

from components.core.recipe.ranking import RankingTraining
from components.rec.csr import Csr
from components.rec.data import RankingData
from components.rec.objective import build_model
from components.rec.ranking_learner import RankingLearner
from tests.benchmarks.speed.peers.base import DIM, L2, LEARNING_RATE, NUM_LAYERS, Peer
from tests.benchmarks.speed.peers.lightgcn_pytorch import LightGcnPytorch
from tests.benchmarks.speed.peers.mixgcf import MixGcf
from tests.benchmarks.speed.peers.recbole import RecBole

NUM_STEPS = 50
_USERS, _ITEMS, _BATCH_SIZE = 200, 40, 32


def training(kind: str, *, batch_size: int, dropout: float = 0.0) -> RankingTraining:
    """The recipe's section that stands for what the peers do."""
    model: dict[str, object] = {"kind": kind, "dim": DIM}
    if kind == "lightgcn":
        model["num_layers"] = NUM_LAYERS
    if kind == "ngcf":
        layers = (DIM,) * NUM_LAYERS
        model |= {"layer_dims": layers, "normalize_layers": True, "message_dropout": dropout}
    return RankingTraining.model_validate(
        {"model": model, "batch_size": batch_size, "learning_rate": LEARNING_RATE, "l2": L2, "device": "cpu"}
    )


def peers(kind: str, data: RankingData) -> dict[str, Peer]:
    """Those that have such a model, in the form that they have in common."""
    all_of_them: dict[str, Peer] = {
        "MixGCF": MixGcf(data, kind, common=True),
        "RecBole": RecBole(data, kind, common=True),
    }
    if kind != "ngcf":
        all_of_them["LightGCN-PyTorch"] = LightGcnPytorch(data, kind)
    return all_of_them


def deviations(kind: str) -> dict[str, float]:
    """For each peer the greatest relative difference between its losses and ours."""
    data, missing = one_item_lacking()
    section = training(kind, batch_size=_BATCH_SIZE)
    model = build_model(section, data, seed=0)
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    batches = list(data.batches(_BATCH_SIZE, torch.Generator().manual_seed(0)))[:NUM_STEPS]
    learner = RankingLearner(section, data, model, seed=0)
    ours = []
    for batch in batches:
        learner.step(batch)
        ours.append(learner.end_epoch()["train_loss"])
    result = {}
    for name, peer in peers(kind, data).items():
        peer.load(start)
        theirs = [peer.step(batch.user, batch.item, missing[batch.user]) for batch in batches]
        result[name] = max(abs(a - b) / abs(b) for a, b in zip(ours, theirs, strict=True))
    return result


def one_item_lacking() -> tuple[RankingData, torch.Tensor]:
    """The data, and (U,) the item that each user lacks; some items are lacked far more often."""
    rng = np.random.default_rng(0)
    missing = (rng.random(_USERS) ** 2 * _ITEMS).astype(np.int64)
    observed = np.ones((_USERS, _ITEMS), dtype=bool)
    observed[np.arange(_USERS), missing] = False
    user, item = (torch.from_numpy(ids) for ids in np.nonzero(observed))
    train = Csr.from_pairs(user, item, _USERS)
    none = torch.empty(0, dtype=torch.int64)
    valid = Csr.from_pairs(none, none, _USERS)
    return RankingData(_USERS, _ITEMS, user, item, train=train, valid=valid), torch.from_numpy(missing)
