"""Training a classifier: its model, its loss, and the plain learner that retraining uses."""

from collections.abc import Mapping
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from components.core.columns import TRAIN_LOSS
from components.core.errors import InvalidInputError
from components.core.hashing import derive_seed
from components.core.recipe.classification import ClassificationTraining, Controlled
from components.core.strategy import Strategy
from components.rec.classifiers.base import BuildClassifier, ClassifierModel, Looked
from components.rec.controller import read_controller
from components.rec.fields import ExampleBatch, FieldData
from components.rec.learner import Learner
from components.rec.losses.base import ClassLoss
from components.rec.losses.controlled import ControlledLoss
from components.rec.optimizers.base import Optimizer
from components.rec.weights import prefixed, without_prefix


def build_classifier(training: ClassificationTraining, data: FieldData, seed: int) -> ClassifierModel:
    """A freshly initialised model on the data's device."""
    build: BuildClassifier = training.model.load()
    generator = torch.Generator().manual_seed(derive_seed(seed, "weights"))
    return build(training.model, data, generator=generator).to(data.device)


def build_loss(config: Strategy, data: FieldData, policy: Path | None, seed: int) -> ClassLoss:
    """A loss from its config.

    Args:
        policy: of the search that decided on it, where there was one.
        seed: of what the loss draws.

    Raises:
        InvalidInputError: the loss needs a controller, and the policy has none that fits.
    """
    if isinstance(config, Controlled):
        if policy is None:
            raise InvalidInputError(
                "training.loss.kind: got 'controlled', whose controller comes from a search"
            )
        controller = read_controller(config, data.num_classes, policy, data.device)
        generator = torch.Generator(data.device).manual_seed(derive_seed(seed, "gumbel"))
        return ControlledLoss(config, controller, generator)
    loss: ClassLoss = config.load()(config)
    return loss


def half_squares(looked: Looked) -> Tensor:
    """½‖·‖² of a batch's own rows, as the network sees them, per example."""
    squares = looked.rows_BFW.square().sum()
    if looked.past is not None:
        squares = squares + looked.past.state_BTK.square().sum()
    return squares / (2 * len(looked.rows_BFW))


class ExampleLearner(Learner):
    """What learners of classifiers share: the loss, the optimizer, generators, and the mean loss of an epoch.

    Args:
        optimizer: over everything of the model.
        draws: name → seed of a generator on the data's device.
    """

    model: ClassifierModel

    def __init__(
        self,
        training: ClassificationTraining,
        data: FieldData,
        model: ClassifierModel,
        loss: ClassLoss,
        *,
        optimizer: Optimizer,
        draws: Mapping[str, int],
    ) -> None:
        self.model = model.train()
        self._loss, self._l2 = loss, training.l2
        self._optimizer = optimizer
        self._generators = {
            name: torch.Generator(data.device).manual_seed(seed) for name, seed in draws.items()
        }
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=data.device)
        self._num_examples = 0

    def _descend(self, loss_B: Tensor, looked: Looked) -> None:
        """One step against the mean loss and L2."""
        self._optimizer.zero_grad()
        total = loss_B.mean() + self._l2 * half_squares(looked)
        total.backward()  # type: ignore[no-untyped-call]  # torch
        self._optimizer.step()
        self._count(loss_B)

    def _count(self, loss_B: Tensor) -> None:
        self._loss_sum += loss_B.detach().sum()
        self._num_examples += len(loss_B)

    def end_epoch(self) -> dict[str, float]:
        self._optimizer.settle()
        record = {TRAIN_LOSS: float(self._loss_sum) / self._num_examples}
        self._loss_sum.zero_()
        self._num_examples = 0
        return record

    def state(self) -> dict[str, Tensor]:
        return {
            **prefixed("optimizer", self._optimizer.state()),
            **prefixed("loss", self._loss.state()),
            **prefixed("generator", {name: g.get_state() for name, g in self._generators.items()}),
            "loss_sum": self._loss_sum,
            "num_examples": torch.tensor(self._num_examples),
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self._optimizer.load_state(without_prefix("optimizer", state))
        self._loss.load_state(without_prefix("loss", state))
        for name, tensor in without_prefix("generator", state).items():
            self._generators[name].set_state(tensor.cpu())
        self._loss_sum.copy_(state["loss_sum"])
        self._num_examples = int(state["num_examples"])


@final
class ClassificationLearner(ExampleLearner):
    """Trains a model with one loss (AutoLoss Algorithm 1, lines 5 and 6)."""

    def __init__(
        self,
        training: ClassificationTraining,
        data: FieldData,
        model: ClassifierModel,
        loss: ClassLoss,
        seed: int,
    ) -> None:
        draws = {"dropout": derive_seed(seed, "dropout")}
        optimizer = model.optimizer(training.learning_rate)
        super().__init__(training, data, model, loss, optimizer=optimizer, draws=draws)

    def step(self, batch: ExampleBatch) -> None:
        looked = self.model.look_up(batch)
        logit_BL = self.model.answer(looked, self._generators["dropout"])
        self._descend(self._loss(logit_BL, batch.label_B), looked)
