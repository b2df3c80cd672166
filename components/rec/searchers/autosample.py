"""AutoSample: negative sampler search (eq. 9–12, Algorithm 1)."""

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor, nn

from components.core.checkpoint import Checkpoint
from components.core.columns import ALPHA, LOSS, PROBABILITY, TEMPERATURE, TRAIN_LOSS
from components.core.hashing import derive_seed
from components.core.policy import Policy
from components.core.recipe.ranking import RankingTraining
from components.core.recipe.search import AutoSample
from components.rec.data import PairBatch, RankingData
from components.rec.gumbel import drawn, gumbel_softmax, logit_gradient
from components.rec.learner import Learner
from components.rec.loop import Schedule, fit
from components.rec.models.base import Encoded, RankingModel
from components.rec.objective import PairwiseObjective, build_model, build_sampler, passes_of
from components.rec.optimizers.dense import DenseAdam
from components.rec.samplers.base import Sampler
from components.rec.searchers.base import SearchResult
from components.rec.weights import prefixed, without_prefix


def search(
    config: AutoSample, training: RankingTraining, data: RankingData, *, seed: int, checkpoint: Checkpoint
) -> SearchResult:
    """Train W and α jointly; the policy is π* = argmax α* of the best validation epoch, whose weights
    are W′ (§2.3.4)."""
    model = build_model(training, data, seed)
    learner = AutoSampleLearner(config, training, data, model, seed)
    schedule = Schedule.of(training, epochs=config.epochs, patience=config.patience)
    passes = passes_of(training, data)
    trajectory = fit(learner, passes, schedule, seed=seed, checkpoint=checkpoint, name="search")
    best = trajectory.history[trajectory.best_epoch - 1]
    alpha = {sampler.kind: best[ALPHA + sampler.kind] for sampler in config.samplers}
    chosen = max(config.samplers, key=lambda sampler: alpha[sampler.kind])  # the first of equals
    policy = Policy(
        kind=config.kind,
        patch={"sampler": chosen.model_dump(mode="json")},
        decision={"sampler": chosen.kind, "alpha": alpha, training.metric: best[training.metric]},
        best_epoch=trajectory.best_epoch,
        epochs=trajectory.epochs,
    )
    return SearchResult(policy, trajectory, trajectory.weights)


@final
class AutoSampleLearner(Learner):
    """W and α on the same batch, each with its own Adam; α without regularisation (Algorithm 1, B.5).

    Straight-through: the forward value is the loss of the one sampler that eq. 10 draws, and α's
    gradient is that of Σ pₜ Lₜ (eq. 11, 12). One draw per batch, as eq. 12 has it. Users and positives
    are encoded and scored once for all samplers.
    """

    model: RankingModel

    def __init__(
        self, config: AutoSample, training: RankingTraining, data: RankingData, model: RankingModel, seed: int
    ) -> None:
        device = data.user.device
        self.model = model
        self._config, self._training = config, training
        self._kinds = [sampler.kind for sampler in config.samplers]
        self._samplers = [build_sampler(sampler, data) for sampler in config.samplers]
        self._objective = PairwiseObjective(training)
        self.logit_T = nn.Parameter(torch.zeros(len(self._samplers), device=device))  # α = 1 / T at first
        self._optimizer = model.optimizer(training.learning_rate)
        self._alpha_optimizer = DenseAdam([self.logit_T], config.alpha_learning_rate)
        self._generators = {
            name: torch.Generator(device).manual_seed(derive_seed(seed, "search", name))
            for name in ("negatives", "dropout", "gumbel")
        }
        self._step = 0
        self._num_steps = 0
        self._sums = torch.zeros(2, len(self._samplers), device=device)  # of p and of the losses
        self._loss_sum = torch.zeros((), device=device)

    @property
    def temperature(self) -> float:
        """τ of the next step."""
        return self._config.temperature.at(self._step)

    def step(self, batch: PairBatch) -> None:
        encoded = self.model.encode(batch, self._generators["dropout"])
        negatives = [self._negatives(sampler, encoded, batch) for sampler in self._samplers]
        objective = self._objective(encoded, batch, torch.stack(negatives, dim=1))
        loss_T = objective.loss_T.detach()
        probability_T = gumbel_softmax(self.logit_T.detach(), self.temperature, self._generators["gumbel"])
        weight_T = drawn(probability_T) if self._config.straight_through else probability_T

        self._optimizer.zero_grad()
        total = (weight_T * (objective.loss_T + self._training.l2 * objective.l2_T)).sum()
        total.backward()  # type: ignore[no-untyped-call]  # torch
        self._optimizer.step()
        self.logit_T.grad = logit_gradient(probability_T, loss_T, self.temperature)
        self._alpha_optimizer.step()

        self._step += 1
        self._num_steps += 1
        self._sums += torch.stack([probability_T, loss_T])
        self._loss_sum += weight_T @ loss_T

    def _negatives(self, sampler: Sampler, encoded: Encoded, batch: PairBatch) -> Tensor:
        count = self._training.num_negatives
        return sampler.sample(encoded, batch, count, generator=self._generators["negatives"])

    def end_epoch(self) -> dict[str, float]:
        self._optimizer.settle()
        for sampler in self._samplers:
            sampler.end_epoch(self.model)
        alpha = torch.softmax(self.logit_T.detach().double(), dim=0).tolist()
        probability, loss = (self._sums / self._num_steps).tolist()
        record: dict[str, float] = {}
        for prefix, values in ((ALPHA, alpha), (PROBABILITY, probability), (LOSS, loss)):
            record |= {prefix + kind: value for kind, value in zip(self._kinds, values, strict=True)}
        record |= {TEMPERATURE: self.temperature, TRAIN_LOSS: float(self._loss_sum) / self._num_steps}
        self._sums.zero_()
        self._loss_sum.zero_()
        self._num_steps = 0
        return record

    def state(self) -> dict[str, Tensor]:
        return {
            "logit": self.logit_T.detach(),
            "step": torch.tensor(self._step),
            "num_steps": torch.tensor(self._num_steps),
            "sums": self._sums,
            "loss_sum": self._loss_sum,
            **prefixed("optimizer", self._optimizer.state()),
            **prefixed("alpha_optimizer", self._alpha_optimizer.state()),
            **{
                key: tensor
                for kind, sampler in zip(self._kinds, self._samplers, strict=True)
                for key, tensor in prefixed(f"sampler.{kind}", sampler.state()).items()
            },
            **prefixed("generator", {name: g.get_state() for name, g in self._generators.items()}),
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            self.logit_T.copy_(state["logit"])
        self._step = int(state["step"])
        self._num_steps = int(state["num_steps"])
        self._sums.copy_(state["sums"])
        self._loss_sum.copy_(state["loss_sum"])
        self._optimizer.load_state(without_prefix("optimizer", state))
        self._alpha_optimizer.load_state(without_prefix("alpha_optimizer", state))
        for kind, sampler in zip(self._kinds, self._samplers, strict=True):
            sampler.load_state(without_prefix(f"sampler.{kind}", state))
        for name, tensor in without_prefix("generator", state).items():
            self._generators[name].set_state(tensor.cpu())
