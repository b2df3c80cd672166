"""AutoLoss: loss function search for each example (eq. 8–13, Algorithm 1)."""

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor
from torch.func import functional_call

from components.core.checkpoint import Checkpoint
from components.core.columns import ALPHA, LOSS, PROBABILITY, TEMPERATURE, TRAIN_LOSS
from components.core.hashing import derive_seed
from components.core.policy import Policy
from components.core.recipe.classification import ClassificationTraining, Controlled, Weighted
from components.core.recipe.search import AutoLoss
from components.rec.classification import build_classifier, half_squares
from components.rec.classifiers.base import ClassifierModel
from components.rec.controller import ControllerNetwork, SharedWeights
from components.rec.endless import EndlessBatches
from components.rec.fields import ExampleBatch, FieldData
from components.rec.gumbel import gumbel_softmax
from components.rec.learner import Learner
from components.rec.loop import Fit, Schedule, fit
from components.rec.losses.candidates import CandidateLosses
from components.rec.optimizers.dense import DenseAdam
from components.rec.searchers.base import SearchResult
from components.rec.searchers.lookahead import Weights
from components.rec.weights import prefixed, without_prefix


def search(
    config: AutoLoss,
    training: ClassificationTraining,
    data: FieldData,
    *,
    seed: int,
    checkpoint: Checkpoint,
) -> SearchResult:
    """Train W and V in turns; the policy is what weighs the losses as of the best validation epoch, whose
    weights are W′."""
    model = build_classifier(training, data, seed)
    learner = AutoLossLearner(config, training, data, model, seed)
    schedule = Schedule.of(training, epochs=config.epochs, patience=config.patience)
    trajectory = fit(learner, data, schedule, seed=seed, checkpoint=checkpoint, name="search")
    best = trajectory.history[trajectory.best_epoch - 1]
    decided = _decided(config, trajectory, best[TEMPERATURE])
    alpha_T = decided.get("weights") or [best[ALPHA + loss.kind] for loss in config.losses]
    policy = Policy(
        kind=config.kind,
        patch={"loss": decided},
        decision={
            "alpha": {loss.kind: alpha for loss, alpha in zip(config.losses, alpha_T, strict=True)},
            training.metric: best[training.metric],
            "per_example": config.per_example,
            "gumbel": config.gumbel,
            "every": config.every,
        },
        best_epoch=trajectory.best_epoch,
        epochs=trajectory.epochs,
    )
    controller = trajectory.kept if config.per_example else None
    return SearchResult(policy, trajectory, trajectory.weights, controller)


def _decided(config: AutoLoss, trajectory: Fit, temperature: float) -> dict[str, Any]:
    """The loss to retrain with: the frozen controller's, or the weights that all examples share."""
    if config.per_example:
        return Controlled(
            losses=config.losses, controller=config.controller, gumbel=config.gumbel, temperature=temperature
        ).model_dump(mode="json")
    weight_T = torch.softmax(trajectory.kept["logit_T"].double(), dim=0)
    return Weighted(losses=config.losses, weights=tuple(weight_T.tolist())).model_dump(mode="json")


@final
class AutoLossLearner(Learner):
    """W on train batches and V, the controller, on validation batches, each with its own Adam.

    V moves first in every f-th step, from the very first on, and then W on the train batch of the same step;
    that batch is also the one whose gradient eq. 13 looks ahead along. With `batches: train` V moves together
    with W on the same loss (SLF).

    The weights p are soft (eq. 10 and 11). W takes them as given: predictions that the controller looks at
    carry no gradient of W's loss, or the model would learn to be where cheap losses are drawn. In W's steps
    the controller is what a policy freezes: without dropout, and with the statistics of its own steps. V has
    no regularisation, and eq. 13 looks at losses alone.
    """

    model: ClassifierModel

    def __init__(
        self,
        config: AutoLoss,
        training: ClassificationTraining,
        data: FieldData,
        model: ClassifierModel,
        seed: int,
    ) -> None:
        device, num_losses = data.device, len(config.losses)
        self.model = model.train()
        self._config, self._l2 = config, training.l2
        self._kinds = [loss.kind for loss in config.losses]
        self._candidates = CandidateLosses(config.losses)
        self.controller = _build_controller(config, data.num_classes, seed).to(device)
        self._optimizer = model.optimizer(training.learning_rate)
        self._controller_optimizer = DenseAdam(self.controller.parameters(), config.controller_learning_rate)
        self._valid = EndlessBatches(data.valid, training.batch_size, derive_seed(seed, "search", "valid"))
        self._generators = {
            name: torch.Generator(device).manual_seed(derive_seed(seed, "search", name))
            for name in ("dropout", "controller_dropout", "gumbel")
        }
        self._step = 0
        self._num_examples = 0
        self._sums = torch.zeros(3, num_losses, dtype=torch.float64, device=device)  # of α, p and ℓ
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=device)

    @property
    def temperature(self) -> float:
        """τ of the next step."""
        return self._config.temperature.at(self._step)

    def step(self, batch: ExampleBatch) -> None:
        due = self._step % self._config.every == 0
        if due and self._config.batches == "valid":
            self._move_controller(batch)
        self._move_model(batch, together=due and self._config.batches == "train")
        self._step += 1

    def _move_model(self, batch: ExampleBatch, *, together: bool) -> None:
        """Line 6 of Algorithm 1: W, and V with it if they move together."""
        looked = self.model.look_up(batch)
        logit_BL = self.model.answer(looked, self._generators["dropout"])
        loss_BT = self._candidates(logit_BL, batch.label_B)
        with torch.set_grad_enabled(together):
            log_alpha_BT, p_BT = self._weigh(logit_BL.detach(), batch.label_B, learning=together)
        loss_B = (p_BT * loss_BT).sum(dim=1)
        total = loss_B.mean() + self._l2 * half_squares(looked)
        self._optimizer.zero_grad()
        self._controller_optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]  # torch
        self._optimizer.step()
        if together:
            self._controller_optimizer.step()
        alpha_BT = log_alpha_BT.double().softmax(dim=1)
        self._sums += torch.stack([alpha_BT, p_BT.double(), loss_BT.double()]).detach().sum(dim=1)
        self._loss_sum += loss_B.detach().sum()
        self._num_examples += len(batch)

    def _move_controller(self, train: ExampleBatch) -> None:
        """Lines 2 to 4 of Algorithm 1: V on a validation batch, and W is left as it is."""
        loss = self._valid_loss(train, self._valid.draw())
        parameters = list(self.controller.parameters())
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        self._controller_optimizer.step()

    def _valid_loss(self, train: ExampleBatch, valid: ExampleBatch) -> Tensor:
        """L_val(W*(V), V) (eq. 11–13). With ξ = 0 W* is W: neither losses nor predictions depend on V, whose
        gradient is that of p alone."""
        rate = self._config.lookahead
        if rate > 0:
            weights = Weights.of(self.model, train, valid)
            logit_BL = weights.logits(train)
            p_BT = self._weigh(logit_BL.detach(), train.label_B, learning=False)[1]
            train_loss = (p_BT * self._candidates(logit_BL, train.label_B)).sum(dim=1).mean()
            logit_BL = weights.after(train_loss, rate).logits(valid)
        else:
            with torch.no_grad():
                logit_BL = Weights.of(self.model, valid).logits(valid)
        p_BT = self._weigh(logit_BL, valid.label_B, learning=True)[1]
        return (p_BT * self._candidates(logit_BL, valid.label_B)).sum(dim=1).mean()

    def _weigh(self, logit_BL: Tensor, label_B: Tensor, *, learning: bool) -> tuple[Tensor, Tensor]:
        """(B, T) log α, and p as drawn from α (eq. 10) or, without Gumbel noise, α itself."""
        self.controller.train(learning)
        if learning:
            log_alpha_BT = self.controller(label_B, logit_BL, self._generators["controller_dropout"])
        else:  # learning moves the running statistics, and eq. 13 takes the gradient of this only after that
            statistics = {name: buffer.clone() for name, buffer in self.controller.named_buffers()}
            log_alpha_BT = functional_call(self.controller, statistics, (label_B, logit_BL))
        if not self._config.gumbel:
            return log_alpha_BT, log_alpha_BT.exp()
        return log_alpha_BT, gumbel_softmax(log_alpha_BT, self.temperature, self._generators["gumbel"])

    def end_epoch(self) -> dict[str, float]:
        self._optimizer.settle()
        means = (self._sums / self._num_examples).tolist()
        record = {
            prefix + kind: value
            for prefix, values in zip((ALPHA, PROBABILITY, LOSS), means, strict=True)
            for kind, value in zip(self._kinds, values, strict=True)
        }
        record |= {TEMPERATURE: self.temperature, TRAIN_LOSS: float(self._loss_sum) / self._num_examples}
        self._sums.zero_()
        self._loss_sum.zero_()
        self._num_examples = 0
        return record

    def kept(self) -> dict[str, Tensor]:
        """What weighs the losses."""
        return self.controller.state_dict()

    def state(self) -> dict[str, Tensor]:
        return {
            "step": torch.tensor(self._step),
            "num_examples": torch.tensor(self._num_examples),
            "sums": self._sums,
            "loss_sum": self._loss_sum,
            **prefixed("controller", self.controller.state_dict()),
            **prefixed("optimizer", self._optimizer.state()),
            **prefixed("controller_optimizer", self._controller_optimizer.state()),
            **prefixed("valid", self._valid.state()),
            **prefixed("generator", {name: g.get_state() for name, g in self._generators.items()}),
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self._step = int(state["step"])
        self._num_examples = int(state["num_examples"])
        self._sums.copy_(state["sums"])
        self._loss_sum.copy_(state["loss_sum"])
        self.controller.load_state_dict(without_prefix("controller", state))
        self._optimizer.load_state(without_prefix("optimizer", state))
        self._controller_optimizer.load_state(without_prefix("controller_optimizer", state))
        self._valid.load_state(without_prefix("valid", state))
        for name, tensor in without_prefix("generator", state).items():
            self._generators[name].set_state(tensor.cpu())


def _build_controller(config: AutoLoss, num_classes: int, seed: int) -> ControllerNetwork | SharedWeights:
    num_losses = len(config.losses)
    if not config.per_example:
        return SharedWeights(num_losses)
    generator = torch.Generator().manual_seed(derive_seed(seed, "search", "controller"))
    return ControllerNetwork(config.controller, num_classes, num_losses, generator=generator)
