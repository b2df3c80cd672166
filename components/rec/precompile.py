"""Compiles the kernels of training for this machine: `python -m components.rec.precompile`.

Each model that has kernels takes a step with each sampler on a toy, and ranks.
"""

import torch

from components.core.recipe.ranking import AobprSampler, ModelConfig, RankingTraining, SamplerConfig
from components.core.recipe.sequences import SEQUENCE_MODELS
from components.core.strategy import registered
from components.rec.csr import Csr
from components.rec.data import PairBatch, RankingData
from components.rec.objective import build_model
from components.rec.ranking_learner import RankingLearner


def main() -> None:
    user = torch.arange(4).repeat_interleave(2)
    item = (user + torch.tensor([0, 1]).repeat(4)) % 5
    train, valid = Csr.from_pairs(user, item, 4), Csr.from_pairs(user[::2], (item[::2] + 2) % 5, 4)
    data = RankingData(4, 5, user, item, train=train, valid=valid)
    samplers = [*(sampler() for sampler in registered(SamplerConfig)), AobprSampler(ranks="factors")]
    for model in (kind for kind in registered(ModelConfig) if kind not in SEQUENCE_MODELS):
        for sampler in samplers:
            training = RankingTraining(model=model(), sampler=sampler, device="cpu")
            learner = RankingLearner(training, data, build_model(training, data, seed=0), seed=0)
            for _ in range(2):
                learner.step(PairBatch(user, item))
            learner.end_epoch()
            data.validate(learner.model, training.metric)


if __name__ == "__main__":
    main()
