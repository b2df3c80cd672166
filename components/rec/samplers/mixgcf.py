"""MixGCF: negatives mixed from the positive and from the hops of a graph (Huang et al. 2021)."""

from typing import final

import torch

from components.core.recipe.ranking import MixGcfMixer
from components.rec.data import PairBatch, RankingData
from components.rec.models.base import HopEncoded
from components.rec.samplers.base import Mixed, Mixer
from components.rec.samplers.unobserved import UnobservedItems


@final
class HopMixing(Mixer):
    """At hop l a negative is α_l e⁺ + (1 − α_l) e_{x_l}: of the positive and of that one of M uniform
    unobserved items whose part of the score is the highest at this hop; α_l is uniform in [0, 1).

    The authors compare candidates after they are mixed. α_l is the same for all candidates of a pair, as in
    their code, so that both orders are the same, and mixing can wait until candidates are chosen.
    """

    def __init__(self, config: MixGcfMixer, data: RankingData) -> None:
        self._num_candidates = config.num_candidates
        self._unobserved = UnobservedItems(data, torch.ones_like(data.popularity))

    @torch.no_grad()
    def mix(
        self, encoded: HopEncoded, batch: PairBatch, num_negatives: int, *, generator: torch.Generator
    ) -> Mixed:
        shape = (len(batch), num_negatives, self._num_candidates)
        pool_BC = self._unobserved.draw(batch.user, shape[1] * shape[2], generator=generator)
        score_BCL = encoded.hop_pairs(batch.user, pool_BC).score_BKL
        best_BNL = score_BCL.reshape(*shape, -1).argmax(dim=2)
        item_BNL = pool_BC.reshape(shape).gather(2, best_BNL)
        share_BNL = torch.rand(item_BNL.shape, generator=generator, device=item_BNL.device)
        return Mixed(item_BNL, share_BNL)
