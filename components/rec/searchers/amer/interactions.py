"""AMER's step 2: interactions of rising order, by sequential model-based optimisation (§2.3)."""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Final, final

import torch
from torch import Tensor, nn

from components.core.checkpoint import Checkpoint
from components.core.errors import InvalidInputError
from components.core.hashing import derive_seed
from components.core.recipe.classification import Amer, ClassificationTraining
from components.core.recipe.search import AmerForFields
from components.metrics.classification import measure
from components.rec.classification import ExampleLearner, build_loss
from components.rec.classifiers.amer import AmerModel, AmerNetwork
from components.rec.classifiers.base import Looked, probabilities
from components.rec.drawing import xavier
from components.rec.fields import ExampleBatch, FieldData
from components.rec.loop import Fit, Schedule, fit
from components.rec.optimizers.dense import DenseAdam
from components.rec.searchers.amer.steps import Step, append, plain, some_examples
from components.rec.weights import prefixed, without_prefix

logger = logging.getLogger(__name__)
Interaction = tuple[int, ...]  # places of fields, ascending
FITNESS: Final = "logloss"  # auc tells most interactions apart by the order of one pair of examples, or not
_NUMBERS_AT_ONCE: Final = 1 << 21  # of a layer of all candidates that are looked at together


def search_interactions(
    config: AmerForFields,
    training: ClassificationTraining,
    data: FieldData,
    before: Mapping[str, Tensor],
    seed: int,
    checkpoint: Checkpoint,
) -> Step:
    """Round after round interactions are crossed with every field, trained together on shared weights, and
    those with the lowest log loss on valid kept. The table, the MLP and what a kept interaction has learned
    go on to the next round.

    It ends early where there is no interaction left that is new.

    Args:
        before: weights from step 1; empty without it.

    Raises:
        InvalidInputError: there is a single field.
    """
    model = _base(training, data, before, seed)
    names = [field.name for field in data.layout.fields if field.of is None]
    if len(names) < 2:
        raise InvalidInputError("search.kind: got 'amer', and there is one field, which has no interactions")
    draw = torch.Generator().manual_seed(derive_seed(seed, "search", "candidates"))
    section = training.model_copy(update={"learning_rate": config.learning_rate})
    batch = some_examples(data, config.examples, draw)
    kept: list[Interaction] = [(place,) for place in range(len(names))]
    weights: dict[Interaction, Tensor] = {}
    values: dict[Interaction, float] = {}
    tried, course, known = [], Fit(), set[Interaction]()
    for number in range(config.rounds):
        candidates = _crossed(kept, len(names))
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
        began = time.monotonic()
        values = dict(zip(candidates, learner.measure(batch), strict=True))
        found.seconds += time.monotonic() - began
        kept = sorted(candidates, key=values.__getitem__)[: config.keep]
        weights = {one: learner.candidate_CDH.data[candidates.index(one)].clone() for one in kept}
        tried.append(len(candidates))
        append(course, found)
    best = kept[: config.chosen]
    named = [[names[place] for place in one] for one in best]
    assert isinstance(training.model, Amer)
    return Step(
        patch={"model.interactions": named},
        decision={
            "tried": tried,
            "products": [
                {"fields": fields, FITNESS: values[one]} for fields, one in zip(named, best, strict=True)
            ],
        },
        weights=_with_interactions(
            model.state_dict(), [weights[one].T for one in best] if training.model.deep else []
        ),
        course=course,
    )


def _with_interactions(learned: Mapping[str, Tensor], of_each: Sequence[Tensor]) -> dict[str, Tensor]:
    """What the first layer makes of the interactions (H, D) stands behind what it makes of all else."""
    first = "network.mlp.layers.0.weight"
    return {**learned, first: torch.cat([learned[first], *of_each], dim=1)}


def _crossed(kept: Sequence[Interaction], num_fields: int) -> list[Interaction]:
    """Those that were kept, of two fields or more, and each of all with one field more."""
    crossed = {
        tuple(sorted({*one, place})) for one in kept for place in range(num_fields) if place not in one
    }
    return sorted(crossed | {one for one in kept if len(one) > 1}, key=lambda one: (len(one), one))


@final
class CandidateLearner(ExampleLearner):
    """The one-shot model of a round: the first layer adds, to what it makes of all fields, what it makes of
    one interaction; W [h₁ … h_N] = Σ Wᵢ hᵢ (§2.3). Each example of a batch gets one, and all get as many
    examples as another, or one more (strict fairness, by examples instead of steps: a round has more
    candidates than a small data set has batches). Where there are n times as many candidates as examples in
    a batch, their weights have n times Adam's rate: they are reached in one step of n.

    Args:
        model: whose table and MLP are shared.
        candidates: C interactions.
        weights: what some of them have learned before.
        draw: (CPU) their first weights.

    Attributes:
        candidate_CDH: of the first layer.
    """

    model: AmerModel

    def __init__(
        self,
        training: ClassificationTraining,
        data: FieldData,
        model: AmerModel,
        candidates: Sequence[Interaction],
        weights: Mapping[Interaction, Tensor],
        draw: torch.Generator,
        seed: int,
    ) -> None:
        super().__init__(
            training,
            data,
            model,
            build_loss(training.loss, data, None, seed),
            optimizer=model.optimizer(training.learning_rate),
            draws={name: derive_seed(seed, "search", name) for name in ("fairness", "dropout")},
        )
        self._network = _network(model)
        dim, width = training.model.dim, training.model.mlp.hidden[0]
        first = [weights[one] if one in weights else xavier(dim, width, draw) for one in candidates]
        self.candidate_CDH = nn.Parameter(torch.stack(first).to(data.device))
        self._place_CR = _places(candidates, self._network.num_fields).to(data.device)
        rarely = max(1.0, len(candidates) / training.batch_size)
        self._candidate_optimizer = DenseAdam([self.candidate_CDH], rarely * training.learning_rate)

    def step(self, batch: ExampleBatch) -> None:
        looked = self.model.look_up(batch)
        which_B = self._assigned(len(batch))
        product_BD = _products(looked.rows_BFW, self._place_CR[which_B])
        added_BH = torch.bmm(product_BD[:, None], self.candidate_CDH[which_B]).squeeze(1)
        logit_BL = self._from_first(self._first(looked) + added_BH, self._generators["dropout"])
        loss_B = self._loss(logit_BL, batch.label_B)
        self._candidate_optimizer.zero_grad()
        self._descend(loss_B, looked)
        self._candidate_optimizer.step()

    def _assigned(self, size: int) -> Tensor:
        """(size,) a candidate for each example, all as often as another or once more."""
        count = len(self.candidate_CDH)
        generator = self._generators["fairness"]
        rounds = [
            torch.randperm(count, generator=generator, device=generator.device)
            for _ in range(-(-size // count))
        ]
        return torch.cat(rounds)[:size]

    def _first(self, looked: Looked) -> Tensor:
        """(B, H) of the fields and the histories, before normalisation."""
        made: Tensor = self._network.mlp.layers[0](self._network.inputs(*looked)[0])
        return made

    def _from_first(self, first_BH: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        """(B, L) logits of the first layer's sums."""
        logit_BL: Tensor = self._network.output(self._network.mlp.go_on(first_BH, dropout))
        return logit_BL

    @torch.no_grad()
    def measure(self, batch: ExampleBatch) -> list[float]:
        """The log loss with each candidate alone over some examples, whose fields are looked at once. So many
        are looked at together as stay in the cache."""
        self.model.eval()
        looked, label_N = self.model.look_up(batch), batch.label_B.cpu().numpy()
        first_NH, rows_FND = self._first(looked), looked.rows_BFW.transpose(0, 1)
        filled_FND = torch.cat([rows_FND, torch.ones_like(rows_FND[:1])])
        at_once = max(1, _NUMBERS_AT_ONCE // first_NH.numel())
        found: list[float] = []
        for start in range(0, len(self._place_CR), at_once):
            here = slice(start, start + at_once)
            product_KND = filled_FND[self._place_CR[here]].prod(dim=1)
            sum_KNH = torch.baddbmm(first_NH[None], product_KND, self.candidate_CDH[here])
            logits = self._from_first(sum_KNH.flatten(0, 1))
            for logit_NL in logits.reshape(len(product_KND), len(label_N), -1).double():
                found.append(measure(probabilities(logit_NL).cpu().numpy(), label_N)[FITNESS])
        self.model.train()
        return found

    def kept(self) -> dict[str, Tensor]:
        """What the candidates have learned."""
        return {"candidates": self.candidate_CDH.detach()}

    def state(self) -> dict[str, Tensor]:
        return {
            **super().state(),
            "candidates": self.candidate_CDH.detach(),
            **prefixed("candidate_optimizer", self._candidate_optimizer.state()),
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        super().load_state(state)
        with torch.no_grad():
            self.candidate_CDH.copy_(state["candidates"])
        self._candidate_optimizer.load_state(without_prefix("candidate_optimizer", state))


def _places(candidates: Sequence[Interaction], num_fields: int) -> Tensor:
    """(C, R) the fields of each; a place behind the last one fills up those of lower order."""
    longest = max(map(len, candidates))
    return torch.tensor([[*one, *[num_fields] * (longest - len(one))] for one in candidates])


def _products(rows_BFD: Tensor, place_BR: Tensor) -> Tensor:
    """(B, D) of each example the product of some of its fields."""
    filled_BFD = torch.cat([rows_BFD, torch.ones_like(rows_BFD[:, :1])], dim=1)
    chosen_BRD = filled_BFD.gather(1, place_BR[:, :, None].expand(-1, -1, rows_BFD.shape[2]))
    return chosen_BRD.prod(dim=1)


def _base(
    training: ClassificationTraining, data: FieldData, before: Mapping[str, Tensor], seed: int
) -> AmerModel:
    assert isinstance(training.model, Amer)
    generator = torch.Generator().manual_seed(derive_seed(seed, "weights"))
    model = AmerModel(plain(training.model), data, generator=generator).to(data.device)
    if before:
        model.load_state_dict(before)
    return model


def _network(model: AmerModel) -> AmerNetwork:
    assert isinstance(model.network, AmerNetwork)
    return model.network
