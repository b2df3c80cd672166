"""AMER's step 2: interactions of rising order, by sequential model-based optimisation (§2.3)."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor, nn

from components.core.checkpoint import Checkpoint
from components.core.columns import EPOCH, TRAIN_LOSS
from components.core.errors import InvalidInputError
from components.core.hashing import derive_seed
from components.core.recipe.classification import ClassificationTraining, Dnn
from components.core.recipe.search import AmerForFields
from components.metrics.classification import measure
from components.metrics.direction import gain
from components.rec.classification import build_loss, half_squares
from components.rec.classifiers.base import probabilities
from components.rec.classifiers.dnn import DnnModel, DnnNetwork
from components.rec.drawing import xavier
from components.rec.fields import ExampleBatch, FieldData
from components.rec.learner import Learner
from components.rec.loop import Fit, Schedule, fit
from components.rec.losses.base import ClassLoss
from components.rec.optimizers.dense import DenseAdam
from components.rec.weights import prefixed, without_prefix

logger = logging.getLogger(__name__)
Interaction = tuple[int, ...]  # places of fields, ascending
_AT_ONCE: Final = 16  # candidates that are looked at together


@final
@dataclass(frozen=True, kw_only=True)
class Explored:
    """What step 2 found.

    Attributes:
        best: the interactions, best first.
        values: of the metric on validation, of each of `best`.
        tried: how many there were in each round.
        course: of all rounds, one after another.
        weights: of the table and the MLP after the last round.
        of_interactions: (H, D) of each of `best`, in the first layer.
    """

    best: Sequence[Interaction]
    values: Sequence[float]
    tried: Sequence[int]
    course: Fit
    weights: Mapping[str, Tensor]
    of_interactions: Sequence[Tensor]


def explore(
    config: AmerForFields,
    training: ClassificationTraining,
    data: FieldData,
    seed: int,
    checkpoint: Checkpoint,
) -> Explored:
    """Round after round interactions are crossed with every field, trained together on shared weights, and
    the best kept. The table, the MLP and what a kept interaction has learned go on to the next round.

    It ends early where there is no interaction left that is new.

    Raises:
        InvalidInputError: there is a single field.
    """
    if len(data.layout.fields) < 2:
        raise InvalidInputError("search.kind: got 'amer', and there is one field, which has no interactions")
    model = _base(training, data, seed)
    draw = torch.Generator().manual_seed(derive_seed(seed, "search", "candidates"))
    section = training.model_copy(update={"learning_rate": config.learning_rate})
    index_N = torch.randperm(len(data.valid), generator=draw)[: config.examples].sort().values.to(data.device)
    kept: list[Interaction] = [(place,) for place in range(len(data.layout.fields))]
    weights: dict[Interaction, Tensor] = {}
    values: dict[Interaction, float] = {}
    tried, course, known = [], Fit(), set[Interaction]()
    for number in range(config.rounds):
        candidates = _crossed(kept, len(data.layout.fields))
        if not set(candidates) - known:
            logger.info("round %d: there is no interaction left that is new", number + 1)
            break
        known |= set(candidates)
        learner = CandidateLearner(section, data, model, candidates, weights, draw, seed)
        epochs = len(range(number, config.epochs, config.rounds))
        schedule = Schedule.of(section, epochs=epochs, patience=epochs, validate_every=1)
        part, name = checkpoint.part(f"round-{number}", ""), f"search: round {number + 1}/{config.rounds}"
        found = fit(learner, data, schedule, seed=derive_seed(seed, str(number)), checkpoint=part, name=name)
        model.load_state_dict(found.weights)
        learner.candidate_CDH.data.copy_(found.kept["candidates"])
        measured = learner.measure(data.valid.select(index_N), section.metric)
        values = dict(zip(candidates, measured, strict=True))
        kept = sorted(candidates, key=lambda one: -gain(section.metric, values[one]))[: config.keep]
        weights = {one: learner.candidate_CDH.data[candidates.index(one)].clone() for one in kept}
        tried.append(len(candidates))
        append(course, found)
    best = kept[: config.chosen]
    return Explored(
        best=best,
        values=[values[one] for one in best],
        tried=tried,
        course=course,
        weights=model.state_dict(),
        of_interactions=[weights[one].T for one in best],
    )


def _crossed(kept: Sequence[Interaction], num_fields: int) -> list[Interaction]:
    """Those that were kept, of two fields or more, and each of all with one field more."""
    crossed = {
        tuple(sorted({*one, place})) for one in kept for place in range(num_fields) if place not in one
    }
    return sorted(crossed | {one for one in kept if len(one) > 1}, key=lambda one: (len(one), one))


@final
class CandidateLearner(Learner):
    """The one-shot model of a round: the first layer adds, to what it makes of all fields, what it makes of
    one interaction; W [h₁ … h_N] = Σ Wᵢ hᵢ (§2.3). Each example of a batch gets one, and all get as many
    examples as another, or one more (strict fairness, by examples instead of steps: a round has more
    candidates than a small data set has batches).

    Args:
        model: whose table and MLP are shared.
        candidates: C interactions.
        weights: what some of them have learned before.
        draw: (CPU) their first weights.

    Attributes:
        candidate_CDH: of the first layer.
    """

    model: DnnModel

    def __init__(
        self,
        training: ClassificationTraining,
        data: FieldData,
        model: DnnModel,
        candidates: Sequence[Interaction],
        weights: Mapping[Interaction, Tensor],
        draw: torch.Generator,
        seed: int,
    ) -> None:
        self.model = model.train()
        network = model.network
        assert isinstance(network, DnnNetwork)
        self._network, self._l2 = network, training.l2
        dim, width = training.model.dim, training.model.mlp.hidden[0]
        first = [weights[one] if one in weights else xavier(dim, width, draw) for one in candidates]
        self.candidate_CDH = nn.Parameter(torch.stack(first).to(data.device))
        self._place_CR = _places(candidates, len(data.layout.fields)).to(data.device)
        self._loss: ClassLoss = build_loss(training.loss, data, None, seed)
        self._optimizer = model.optimizer(training.learning_rate)
        self._candidate_optimizer = DenseAdam([self.candidate_CDH], training.learning_rate)
        self._generators = {
            name: torch.Generator(data.device).manual_seed(derive_seed(seed, "search", name))
            for name in ("fairness", "dropout")
        }
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=data.device)
        self._num_examples = 0

    def step(self, batch: ExampleBatch) -> None:
        rows_BFD = self.model.look_up(batch)
        which_B = self._assigned(len(batch))
        product_BD = _products(rows_BFD, self._place_CR[which_B])
        added_BH = torch.bmm(product_BD[:, None], self.candidate_CDH[which_B]).squeeze(1)
        logit_BL = self._from_first(self._first(rows_BFD) + added_BH, self._generators["dropout"])
        loss_B = self._loss(logit_BL, batch.label_B)
        self._optimizer.zero_grad()
        self._candidate_optimizer.zero_grad()
        (loss_B.mean() + self._l2 * half_squares(rows_BFD)).backward()  # type: ignore[no-untyped-call]  # torch
        self._optimizer.step()
        self._candidate_optimizer.step()
        self._loss_sum += loss_B.detach().sum()
        self._num_examples += len(batch)

    def _assigned(self, size: int) -> Tensor:
        """(size,) a candidate for each example, all as often as another or once more."""
        count = len(self.candidate_CDH)
        generator = self._generators["fairness"]
        rounds = [
            torch.randperm(count, generator=generator, device=generator.device)
            for _ in range(-(-size // count))
        ]
        return torch.cat(rounds)[:size]

    def _first(self, rows_BFD: Tensor) -> Tensor:
        """(B, H) of the fields, before normalisation."""
        made: Tensor = self._network.mlp.layers[0](rows_BFD.flatten(1))
        return made

    def _from_first(self, first_BH: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        """(B, L) logits of the first layer's sums."""
        logit_BL: Tensor = self._network.output(self._network.mlp.go_on(first_BH, dropout))
        return logit_BL

    @torch.no_grad()
    def measure(self, batch: ExampleBatch, metric: str) -> list[float]:
        """The metric of each candidate alone over some examples, whose fields are looked at once."""
        self.model.eval()
        rows_NFD = self.model.look_up(batch)
        first_NH, label_N = self._first(rows_NFD), batch.label_B.cpu().numpy()
        found: list[float] = []
        for start in range(0, len(self._place_CR), _AT_ONCE):
            here = slice(start, start + _AT_ONCE)
            made = [_products(rows_NFD, place_R.expand(len(batch), -1)) for place_R in self._place_CR[here]]
            added_KNH = torch.bmm(torch.stack(made), self.candidate_CDH[here])
            logits = self._from_first((added_KNH + first_NH).flatten(0, 1))
            for logit_NL in logits.reshape(len(added_KNH), len(label_N), -1).double():
                found.append(measure(probabilities(logit_NL).cpu().numpy(), label_N)[metric])
        self.model.train()
        return found

    def end_epoch(self) -> dict[str, float]:
        self._optimizer.settle()
        record = {TRAIN_LOSS: float(self._loss_sum) / self._num_examples}
        self._loss_sum.zero_()
        self._num_examples = 0
        return record

    def kept(self) -> dict[str, Tensor]:
        """What the candidates have learned."""
        return {"candidates": self.candidate_CDH.detach()}

    def state(self) -> dict[str, Tensor]:
        return {
            "candidates": self.candidate_CDH.detach(),
            **prefixed("optimizer", self._optimizer.state()),
            **prefixed("candidate_optimizer", self._candidate_optimizer.state()),
            **prefixed("loss", self._loss.state()),
            **prefixed("generator", {name: g.get_state() for name, g in self._generators.items()}),
            "loss_sum": self._loss_sum,
            "num_examples": torch.tensor(self._num_examples),
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            self.candidate_CDH.copy_(state["candidates"])
        self._optimizer.load_state(without_prefix("optimizer", state))
        self._candidate_optimizer.load_state(without_prefix("candidate_optimizer", state))
        self._loss.load_state(without_prefix("loss", state))
        for name, tensor in without_prefix("generator", state).items():
            self._generators[name].set_state(tensor.cpu())
        self._loss_sum.copy_(state["loss_sum"])
        self._num_examples = int(state["num_examples"])


def _places(candidates: Sequence[Interaction], num_fields: int) -> Tensor:
    """(C, R) the fields of each; a place behind the last one fills up those of lower order."""
    longest = max(map(len, candidates))
    return torch.tensor([[*one, *[num_fields] * (longest - len(one))] for one in candidates])


def _products(rows_BFD: Tensor, place_BR: Tensor) -> Tensor:
    """(B, D) of each example the product of some of its fields."""
    filled_BFD = torch.cat([rows_BFD, torch.ones_like(rows_BFD[:, :1])], dim=1)
    chosen_BRD = filled_BFD.gather(1, place_BR[:, :, None].expand(-1, -1, rows_BFD.shape[2]))
    return chosen_BRD.prod(dim=1)


def _base(training: ClassificationTraining, data: FieldData, seed: int) -> DnnModel:
    config = Dnn(dim=training.model.dim, init_std=training.model.init_std, mlp=training.model.mlp)
    generator = torch.Generator().manual_seed(derive_seed(seed, "weights"))
    return DnnModel(config, data, generator=generator).to(data.device)


def append(course: Fit, found: Fit) -> None:
    """One training after another, as one."""
    before = course.epochs
    course.history += [{**record, EPOCH: before + record[EPOCH]} for record in found.history]
    course.best_epoch, course.best_value = before + found.best_epoch, found.best_value
    course.seconds += found.seconds
