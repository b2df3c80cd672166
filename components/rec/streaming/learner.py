"""Learning from a stream batch by batch: predicted first, then trained on."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from components.rec.classifiers.base import probabilities
from components.rec.optimizers.dense import DenseAdam
from components.rec.streaming.model import StreamBatch, StreamModel, losses
from components.rec.weights import prefixed, without_prefix


class StreamLearner(ABC):
    """Trains a model on a stream; what happens to its embeddings on the way is left to others.

    Attributes:
        model: what predicts.
    """

    def __init__(self, model: StreamModel, learning_rate: float) -> None:
        self.model = model
        self._learning_rate = learning_rate
        self._optimizer = DenseAdam(model.parameters(), learning_rate)

    def learn(self, batch: StreamBatch) -> Tensor:
        """Predict a batch as the model would be served, then train on it.

        Returns:
            (B, C) the probabilities, from before the training.
        """
        self.model.know(batch)
        self.adjust(batch)
        with torch.no_grad():
            logit_BL = self.model(self.model.rows(batch))
        self.observe(batch, losses(logit_BL, batch.label_B))
        self._train(batch)
        return probabilities(logit_BL)

    @abstractmethod
    def adjust(self, batch: StreamBatch) -> None:
        """What is done to the embeddings before a batch is predicted."""

    @abstractmethod
    def observe(self, batch: StreamBatch, loss_B: Tensor) -> None:
        """Told the losses of predictions."""

    def _train(self, batch: StreamBatch) -> None:
        """One step along eq. 3 or eq. 4."""
        rows = self.model.rows(batch)
        loss = losses(self.model(rows, remember=True), batch.label_B).mean()
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch
        self._optimizer.step()
        for side, table in self.model.tables.items():
            table.step(rows[side], self._learning_rate)

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

    def observe(self, batch: StreamBatch, loss_B: Tensor) -> None:
        """They are of no use here."""
