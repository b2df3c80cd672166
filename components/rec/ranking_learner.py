"""The plain learner of rankings, which retraining uses."""

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from components.core.columns import TRAIN_LOSS
from components.core.hashing import derive_seed
from components.core.recipe import RankingTraining
from components.rec.data import PairBatch, RankingData
from components.rec.learner import Learner
from components.rec.models.base import Encoded, HopEncoded, RankingModel
from components.rec.objective import Objective, PairwiseObjective, build_negatives
from components.rec.samplers.base import Mixer, Sampler
from components.rec.weights import prefixed, without_prefix


@final
class RankingLearner(Learner):
    """Trains a model with one frozen sampler or mixer (Algorithm 2, lines 3 to 8)."""

    model: RankingModel

    def __init__(self, training: RankingTraining, data: RankingData, model: RankingModel, seed: int) -> None:
        self.model = model
        self._training = training
        self._objective = PairwiseObjective(training)
        self._source = build_negatives(training.sampler, data)
        self._optimizer = model.optimizer(training.learning_rate)
        device = data.user.device
        self._negatives = torch.Generator(device).manual_seed(derive_seed(seed, "negatives"))
        self._dropout = torch.Generator(device).manual_seed(derive_seed(seed, "dropout"))
        self._loss_sum = torch.zeros((), device=device)
        self._num_steps = 0

    def step(self, batch: PairBatch) -> None:
        objective = self._objective_of(self.model.encode(batch, self._dropout), batch)
        total = objective.loss_T[0] + self._training.l2 * objective.l2_T[0]
        self._optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]  # torch
        self._optimizer.step()
        self._loss_sum += objective.loss_T[0].detach()
        self._num_steps += 1

    def _objective_of(self, encoded: Encoded, batch: PairBatch) -> Objective:
        count, source = self._training.num_negatives, self._source
        if isinstance(source, Mixer):
            assert isinstance(encoded, HopEncoded)
            mixed = source.mix(encoded, batch, count, generator=self._negatives)
            return self._objective.of_mixed(encoded, batch, mixed)
        assert isinstance(source, Sampler)
        negative_BN = source.sample(encoded, batch, count, generator=self._negatives)
        return self._objective(encoded, batch, negative_BN[:, None])

    def end_epoch(self) -> dict[str, float]:
        self._optimizer.settle()
        self._source.end_epoch(self.model)
        record = {TRAIN_LOSS: float(self._loss_sum) / self._num_steps}
        self._loss_sum.zero_()
        self._num_steps = 0
        return record

    def state(self) -> dict[str, Tensor]:
        return {
            **prefixed("optimizer", self._optimizer.state()),
            **prefixed("sampler", self._source.state()),
            "negatives": self._negatives.get_state(),
            "dropout": self._dropout.get_state(),
            "loss_sum": self._loss_sum,
            "num_steps": torch.tensor(self._num_steps),
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self._optimizer.load_state(without_prefix("optimizer", state))
        self._source.load_state(without_prefix("sampler", state))
        self._negatives.set_state(state["negatives"].cpu())
        self._dropout.set_state(state["dropout"].cpu())
        self._loss_sum.copy_(state["loss_sum"])
        self._num_steps = int(state["num_steps"])
