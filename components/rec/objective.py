"""The pairwise training objective: the losses and L2 of one batch of positives."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from components.core.hashing import derive_seed
from components.core.recipe.ranking import NegativesConfig, RankingTraining, SamplerConfig
from components.core.recipe.sequences import SEQUENCE_MODELS
from components.rec.data import PairBatch, RankingData
from components.rec.loop import TrainingData
from components.rec.losses.base import PairwiseLoss
from components.rec.models.base import BuildModel, Encoded, HopEncoded, RankingModel
from components.rec.samplers.base import Mixed, NegativeSource, Sampler
from components.rec.sequences.passes import SequencePasses


@final
@dataclass(frozen=True)
class Objective:
    """What a batch of B positives costs with each of T sets of negatives.

    Attributes:
        loss_T: the mean over positives of the loss against their negatives (AutoSample eq. 1).
        l2_T: ½‖·‖² of all ego embeddings that the batch touches with that set, per positive.
    """

    loss_T: Tensor
    l2_T: Tensor


@final
class PairwiseObjective:
    """Scores users, positives and all negatives at once, and what they share only once."""

    def __init__(self, training: RankingTraining) -> None:
        self._loss: PairwiseLoss = training.loss.load()(training.loss)

    def __call__(self, encoded: Encoded, batch: PairBatch, negative_BTN: Tensor) -> Objective:
        """`negative_BTN`: N negatives from each of T samplers."""
        size, num_samplers, num_negatives = negative_BTN.shape
        items = torch.cat([batch.item[:, None], negative_BTN.reshape(size, -1)], dim=1)
        pairs = encoded.pairs(batch.user, items)
        positive_BT = pairs.score_BK[:, :1].expand(size, num_samplers)
        negative_score = pairs.score_BK[:, 1:].reshape(size * num_samplers, num_negatives)
        loss_BT = self._loss(positive_BT.reshape(-1), negative_score).reshape(size, num_samplers)
        shared_l2 = pairs.user_l2_B.sum() + pairs.item_l2_BK[:, 0].sum()
        own_l2_T = pairs.item_l2_BK[:, 1:].reshape(negative_BTN.shape).sum(dim=(0, 2))
        return Objective(loss_BT.mean(dim=0), (shared_l2 + own_l2_T) / size)

    def of_mixed(self, encoded: HopEncoded, batch: PairBatch, negatives: Mixed) -> Objective:
        """The same with one set of negatives that are no items: T = 1."""
        size, num_negatives, num_hops = negatives.item_BNL.shape
        items = torch.cat([batch.item[:, None], negatives.item_BNL.reshape(size, -1)], dim=1)
        pairs = encoded.hop_pairs(batch.user, items)
        positive_B1L, share_BNL = pairs.score_BKL[:, :1], negatives.share_BNL
        of_items = pairs.score_BKL[:, 1:].reshape(size, num_negatives, num_hops, num_hops)
        own_BNL = of_items.diagonal(dim1=2, dim2=3)  # what a hop's item contributes at that hop
        negative_BN = (share_BNL * positive_B1L + (1 - share_BNL) * own_BNL).sum(dim=2)
        loss_B = self._loss(positive_B1L.sum(dim=2).squeeze(1), negative_BN)
        positive_B1D = pairs.ego_BKD[:, :1]
        first_BND = pairs.ego_BKD[:, 1:].reshape(size, num_negatives, num_hops, -1)[:, :, 0]
        share_BN1 = share_BNL[:, :, :1]
        ego_BND = share_BN1 * positive_B1D + (1 - share_BN1) * first_BND
        l2 = pairs.user_l2_B.sum() + (positive_B1D.square().sum() + ego_BND.square().sum()) / 2
        return Objective(loss_B.mean()[None], (l2 / size)[None])


def build_model(training: RankingTraining, data: RankingData, seed: int) -> RankingModel:
    """A freshly initialised model on the data's device."""
    build: BuildModel = training.model.load()
    generator = torch.Generator().manual_seed(derive_seed(seed, "weights"))
    return build(training.model, data, generator=generator).to(data.user.device)


def passes_of(training: RankingTraining, data: RankingData) -> TrainingData:
    """What an epoch goes through: pairs, or histories where the model reads them."""
    if isinstance(training.model, SEQUENCE_MODELS):
        return SequencePasses(training.model, data)
    return data


def build_negatives(config: NegativesConfig, data: RankingData) -> NegativeSource:
    """A sampler or a mixer from its config."""
    source: NegativeSource = config.load()(config, data)
    return source


def build_sampler(config: SamplerConfig, data: RankingData) -> Sampler:
    """A sampler from its config."""
    source = build_negatives(config, data)
    assert isinstance(source, Sampler)
    return source
