"""Learning from a stream batch by batch: predicted first, then trained on."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from components.rec.classifiers.base import probabilities
from components.rec.optimizers.dense import DenseAdam
from components.rec.streaming.model import SIDES, Side, StreamBatch, StreamModel, losses
from components.rec.weights import prefixed, without_prefix


@final
@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What was said of B interactions, each before it was learned from.

    Attributes:
        probability_BC: of the classes.
        loss_B: see `losses`.
        frequency: side → (B,) how often each had been seen before the batch.
        size: side → (B,) the size of each embedding that predicted.
    """

    probability_BC: Tensor
    loss_B: Tensor
    frequency: Mapping[Side, Tensor]
    size: Mapping[Side, Tensor]


class StreamLearner(ABC):
    """Trains a model on a stream; what happens to its embeddings on the way is left to others.

    Attributes:
        model: what predicts.
    """

    def __init__(self, model: StreamModel, learning_rate: float) -> None:
        self.model = model
        self._learning_rate = learning_rate
        self._optimizer = DenseAdam(self._parameters(), learning_rate)

    def _parameters(self) -> list[Tensor]:
        """What `learn` trains of the model, besides its tables."""
        return list(self.model.parameters())

    def learn(self, batch: StreamBatch) -> Prediction:
        """Predict a batch as the model would be served, then train on it."""
        self.model.know(batch)
        self.adjust(batch)
        sides = {side: self.model.side(side) for side in SIDES}
        frequency = {side: sides[side].seen.frequency(batch.ids(side)) for side in SIDES}
        size = {side: sides[side].size_of(batch.ids(side)) for side in SIDES}
        with torch.no_grad():
            logit_BL = self.model(self.model.rows(batch))
        loss_B = losses(logit_BL, batch.label_B)
        self._train(batch)
        for side in SIDES:
            sides[side].seen.see(batch.ids(side), loss_B)
        self.remember(batch)
        return Prediction(
            probability_BC=probabilities(logit_BL), loss_B=loss_B, frequency=frequency, size=size
        )

    @abstractmethod
    def adjust(self, batch: StreamBatch) -> None:
        """What is done before a batch is predicted."""

    @abstractmethod
    def remember(self, batch: StreamBatch) -> None:
        """Told what is past from now on."""

    def policies(self) -> dict[str, Tensor]:
        """The weights of what decides about sizes and could do so on another stream: none, unless a search
        says more."""
        return {}

    def adopt(self, policies: Mapping[str, Tensor], sizes: Mapping[Side, Tensor]) -> None:
        """Take over what `policies` of another learner gave, before anything was learned.

        Args:
            sizes: (N,) of the embeddings of the first ids of each side.
        """
        assert not policies

    def _train(self, batch: StreamBatch) -> None:
        """One step along eq. 3 or eq. 4."""
        rows = self.model.rows(batch)
        loss = losses(self.model(rows, remember=True), batch.label_B).mean()
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch
        self._optimizer.step()
        for side in SIDES:
            self.model.side(side).step(rows[side], self._learning_rate)

    def state(self) -> dict[str, Tensor]:
        """All that goes on from here needs."""
        return {**prefixed("model", self.model.state()), **prefixed("optimizer", self._optimizer.state())}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state` gave."""
        self.model.load_state(without_prefix("model", state))
        self._optimizer.load_state(without_prefix("optimizer", state))


@final
class FixedLearner(StreamLearner):
    """Sizes that nobody changes (the baseline FIXED has one for all)."""

    def adjust(self, batch: StreamBatch) -> None:
        """Nothing."""

    def remember(self, batch: StreamBatch) -> None:
        """It has no use for the past."""
