"""AMER's step 1 for hybrid data: which residual blocks read the histories (§2.3)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, final

import torch
from torch import Tensor

from components.core.checkpoint import Checkpoint
from components.core.hashing import derive_seed
from components.core.progress import progress
from components.core.recipe.classification import Amer, ClassificationTraining
from components.core.recipe.search import AmerForFields, HistorySearch
from components.metrics.classification import measure
from components.rec.classification import ExampleLearner, build_classifier, build_loss, half_squares
from components.rec.classifiers.amer import AmerModel, AmerNetwork
from components.rec.classifiers.base import Looked, Past, probabilities
from components.rec.classifiers.history import HistoryReader
from components.rec.fields import ExampleBatch, FieldData
from components.rec.loop import Fit, Schedule, fit
from components.rec.optimizers.dense import DenseAdam
from components.rec.searchers.amer.children import AT_ONCE, in_order, last_states, patch_of, told
from components.rec.searchers.amer.cosine import Cosine
from components.rec.searchers.amer.finals import winner_of
from components.rec.searchers.amer.paths import Path, fair_paths, random_paths
from components.rec.searchers.amer.steps import Step, fine_tune, plain, some_examples

_NUMBERS_AT_ONCE: Final = 1 << 28  # of all states that are in memory together


def search_blocks(
    config: AmerForFields,
    training: ClassificationTraining,
    data: FieldData,
    before: Mapping[str, Tensor],
    seed: int,
    checkpoint: Checkpoint,
) -> Step:
    """The blocks of the child that is best after fine-tuning, and its weights without interactions and
    without what goes around the MLP. Nothing comes `before`."""
    small, metric = config.blocks, training.metric
    draw = torch.Generator().manual_seed(derive_seed(seed, "search", "children"))
    batch = some_examples(data, config.examples, draw)
    probes = random_paths(small, small.probes, draw)
    model = _one_shot(small, training, data, seed)
    num_steps = small.epochs * -(-len(data) // training.batch_size)
    learner = BlocksLearner(small, training, data, model, num_steps, seed)
    shared = fit(
        learner,
        ProbedExamples(data, batch, probes),
        Schedule.of(training, epochs=small.epochs, patience=small.patience, validate_every=1),
        seed=derive_seed(seed, "history"),
        checkpoint=checkpoint.part("history", ""),
        name="search: history",
    )
    model.load_state_dict(shared.weights)

    paths = random_paths(small, small.children, draw)

    def tune(path: Path, place: int) -> Fit:
        section = _section(training, path)
        child = build_classifier(section, data, seed)
        child.load_state_dict({name: shared.weights[name] for name in child.state_dict()})
        return fine_tune(small.fine_tune, section, data, child, seed, checkpoint.part(f"blocks-{place}", ""))

    winner = winner_of(
        paths,
        lambda some: measure_blocks(model, some, batch, metric),
        tune,
        told=told,
        patched=patch_of,
        metric=metric,
        top=small.top,
    )
    shared.seconds += winner.seconds
    return Step(
        patch=winner.patch,
        decision={"blocks": winner.decision, "looked_at_by": {"examples": len(batch)}},
        weights=winner.weights,
        course=shared,
    )


def _section(training: ClassificationTraining, path: Path) -> ClassificationTraining:
    """Of the model with given blocks, without interactions and without what goes around the MLP."""
    assert isinstance(training.model, Amer)
    return training.model_copy(update={"model": plain(training.model).model_copy(update={"blocks": path})})


def _one_shot(
    config: HistorySearch, training: ClassificationTraining, data: FieldData, seed: int
) -> AmerModel:
    """The weights of all layers of all blocks. Which child it is by itself does not matter: it is always told
    which one to follow."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "weights"))
    path = random_paths(config, 1, torch.Generator().manual_seed(0))[0]
    model = _section(training, path).model
    assert isinstance(model, Amer)
    return AmerModel(model, data, generator=generator, choices=config.layers).to(data.device)


@final
class BlocksLearner(ExampleLearner):
    """Strict fairness (FairNAS): a step trains as many children as there are layers to choose from, which
    have each layer of each block once, on the same batch; their gradients are averaged. Adam's rate goes down
    along one cosine to zero.

    Args:
        num_steps: of the whole training.
    """

    model: AmerModel

    def __init__(
        self,
        config: HistorySearch,
        training: ClassificationTraining,
        data: FieldData,
        model: AmerModel,
        num_steps: int,
        seed: int,
    ) -> None:
        adam = DenseAdam(model.parameters(), config.learning_rate)  # deferred it could not change its rate
        super().__init__(
            training,
            data,
            model,
            build_loss(training.loss, data, None, seed),
            optimizer=adam,
            draws={"dropout": derive_seed(seed, "search", "dropout")},
        )
        self._config, self._adam = config, adam
        self._cosine = Cosine(config.learning_rate, num_steps)
        self._paths = torch.Generator().manual_seed(derive_seed(seed, "search", "paths"))

    def step(self, batch: ExampleBatch) -> None:
        """What all children have in common is looked up once, and gets its gradient once."""
        looked = self.model.look_up(batch)
        assert looked.past is not None
        shared = [looked.rows_BFW, looked.past.state_BTK]
        rows_BFD, state_BTK = (some.detach().requires_grad_() for some in shared)
        leaf = Looked(rows_BFD, Past(state_BTK, looked.past.there_BT))
        self._optimizer.zero_grad()
        paths = fair_paths(self._config, self._paths)
        losses = []
        for path in paths:
            logit_BL = _answer(self.model, path, leaf, self._generators["dropout"])
            loss_B = self._loss(logit_BL, batch.label_B) / len(paths)
            loss_B.mean().backward()  # type: ignore[no-untyped-call]  # torch
            losses.append(loss_B.detach())
        (self._l2 * half_squares(leaf)).backward()  # type: ignore[no-untyped-call]  # torch
        torch.autograd.backward(shared, [rows_BFD.grad, state_BTK.grad])
        self._adam.rate(self._cosine.rate)
        self._optimizer.step()
        self._cosine.step += 1
        self._count(torch.stack(losses).sum(dim=0))

    def end_epoch(self) -> dict[str, float]:
        return {**super().end_epoch(), "learning_rate": self._cosine.rate}

    def state(self) -> dict[str, Tensor]:
        return {
            **super().state(),
            "paths": self._paths.get_state(),
            "step": torch.tensor(self._cosine.step),
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        super().load_state(state)
        self._paths.set_state(state["paths"].cpu())
        self._cosine.step = int(state["step"])


def _answer(model: AmerModel, path: Path, looked: Looked, dropout: torch.Generator | None = None) -> Tensor:
    network, reader = _parts(model)
    assert looked.past is not None
    read_BH = reader.follow(path, looked.past, reader.target(looked.rows_BFW))
    return network.answer(*network.joined(looked.rows_BFW, read_BH), dropout)


@torch.no_grad()
def measure_blocks(model: AmerModel, paths: Sequence[Path], batch: ExampleBatch, metric: str) -> list[float]:
    """The metric of each child over some examples, which are looked up once. Children are looked at together
    as those for sequences are."""
    model.eval()
    network, reader = _parts(model)
    looked, label_B = model.look_up(batch), batch.label_B.cpu().numpy()
    assert looked.past is not None
    target_BK = reader.target(looked.rows_BFW)
    found: dict[Path, float] = {}
    ordered = in_order(paths)
    at_once = max(1, min(AT_ONCE, _NUMBERS_AT_ONCE // looked.past.state_BTK.numel()))
    with progress("children", len(paths), "children") as shown:
        for start in range(0, len(ordered), at_once):
            some = ordered[start : start + at_once]
            for path, state_BTK in last_states(reader.blocks, some, *looked.past, target_BK).items():
                read_BH = reader.summed(state_BTK, target_BK)
                logit_BL = network.answer(*network.joined(looked.rows_BFW, read_BH))
                found[path] = measure(probabilities(logit_BL.double()).cpu().numpy(), label_B)[metric]
            shown.advance(len(some))
    model.train()
    return [found[path] for path in paths]


@final
class ProbedExamples:
    """Training data whose validation is the mean of a few children that stay the same, over a few examples
    (AMER §2.3: to see when the one-shot model has been trained enough)."""

    def __init__(self, data: FieldData, batch: ExampleBatch, probes: Sequence[Path]) -> None:
        self._data, self._batch, self._probes = data, batch, probes

    def __len__(self) -> int:
        return len(self._data)

    def batches(self, batch_size: int, generator: torch.Generator, first: int = 0) -> Iterator[ExampleBatch]:
        """Those of the data."""
        return self._data.batches(batch_size, generator, first)

    @property
    def has_validation(self) -> bool:
        """A search needs it."""
        return True

    def validate(self, model: AmerModel, metric: str) -> dict[str, float]:
        """The mean over the probes."""
        values = measure_blocks(model, self._probes, self._batch, metric)
        return {metric: sum(values) / len(values)}


def _parts(model: AmerModel) -> tuple[AmerNetwork, HistoryReader]:
    assert isinstance(model.network, AmerNetwork)
    assert model.network.history is not None
    return model.network, model.network.history
