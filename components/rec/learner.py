"""What the training loop drives, and the plain learner that retraining uses."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from components.core.columns import TRAIN_LOSS
from components.core.hashing import derive_seed
from components.core.recipe.training import Training
from components.rec.data import PairBatch, RankingData
from components.rec.models.base import RankingModel
from components.rec.objective import PairwiseObjective, build_sampler
from components.rec.weights import prefixed, without_prefix


class Learner(ABC):
    """One optimisation step at a time. A learner that needs more than the train batch (validation
    batches, history) draws it itself from the data it was built with, at its own pace.

    Attributes:
        model: what is validated and kept.
    """

    model: RankingModel

    @abstractmethod
    def step(self, batch: PairBatch) -> None:
        """Update everything that learns on one batch."""

    @abstractmethod
    def end_epoch(self) -> dict[str, float]:
        """The epoch's record, such as mean losses; settles the weights and starts the next epoch."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """All that a learner resumed within an epoch needs besides the model's weights as they are now."""

    @abstractmethod
    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state` gave."""


@final
class RankingLearner(Learner):
    """Trains a model with one frozen sampler (Algorithm 2, lines 3 to 8)."""

    def __init__(self, training: Training, data: RankingData, model: RankingModel, seed: int) -> None:
        self.model = model
        self._training = training
        self._objective = PairwiseObjective(training)
        self._sampler = build_sampler(training.sampler, data)
        self._optimizer = model.optimizer(training.learning_rate)
        device = data.user.device
        self._negatives = torch.Generator(device).manual_seed(derive_seed(seed, "negatives"))
        self._dropout = torch.Generator(device).manual_seed(derive_seed(seed, "dropout"))
        self._loss_sum = torch.zeros((), device=device)
        self._num_steps = 0

    def step(self, batch: PairBatch) -> None:
        encoded = self.model.encode(self._dropout)
        negative_BN = self._sampler.sample(
            encoded, batch.user, self._training.num_negatives, generator=self._negatives
        )
        objective = self._objective(encoded, batch, negative_BN[:, None])
        total = objective.loss_T[0] + self._training.l2 * objective.l2_T[0]
        self._optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]  # torch
        self._optimizer.step()
        self._loss_sum += objective.loss_T[0].detach()
        self._num_steps += 1

    def end_epoch(self) -> dict[str, float]:
        self._optimizer.settle()
        record = {TRAIN_LOSS: float(self._loss_sum) / self._num_steps}
        self._loss_sum.zero_()
        self._num_steps = 0
        return record

    def state(self) -> dict[str, Tensor]:
        return {
            **prefixed("optimizer", self._optimizer.state()),
            **prefixed("sampler", self._sampler.state()),
            "negatives": self._negatives.get_state(),
            "dropout": self._dropout.get_state(),
            "loss_sum": self._loss_sum,
            "num_steps": torch.tensor(self._num_steps),
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self._optimizer.load_state(without_prefix("optimizer", state))
        self._sampler.load_state(without_prefix("sampler", state))
        self._negatives.set_state(state["negatives"].cpu())
        self._dropout.set_state(state["dropout"].cpu())
        self._loss_sum.copy_(state["loss_sum"])
        self._num_steps = int(state["num_steps"])
