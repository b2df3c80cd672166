"""Training all children at once, on shared weights."""

from collections.abc import Iterator, Mapping, Sequence
from typing import final

import torch
from torch import Tensor
from torch.nn.functional import embedding

from components.core.columns import TRAIN_LOSS
from components.core.hashing import derive_seed
from components.core.recipe.ranking import MixGcfMixer, RankingTraining
from components.core.recipe.search import AmerForSequences
from components.rec.data import PairBatch, RankingData
from components.rec.learner import Learner
from components.rec.losses.base import PairwiseLoss
from components.rec.mlp import drop
from components.rec.models.base import PlainEncoded, Tables
from components.rec.objective import build_sampler
from components.rec.optimizers.dense import DenseAdam
from components.rec.searchers.amer.children import measure_children
from components.rec.searchers.amer.cosine import Cosine
from components.rec.searchers.amer.paths import Path, fair_paths
from components.rec.sequences.blocks import BlocksModel
from components.rec.sequences.histories import of_like_length, put_back
from components.rec.sequences.passes import SequencePasses
from components.rec.weights import prefixed, without_prefix


@final
class OneShotLearner(Learner):
    """Strict fairness (FairNAS, as in AMER §2.3): a step trains as many children as there are layers to
    choose from, which have each layer of each block once, on the same batch; their gradients are averaged.
    Adam's rate goes down along one cosine to zero.

    Args:
        num_steps: of the whole training.
    """

    model: BlocksModel

    def __init__(
        self,
        config: AmerForSequences,
        training: RankingTraining,
        data: RankingData,
        model: BlocksModel,
        num_steps: int,
        seed: int,
    ) -> None:
        device = data.user.device
        self.model = model
        self._config, self._training = config, training
        self._loss: PairwiseLoss = training.loss.load()(training.loss)
        assert not isinstance(training.sampler, MixGcfMixer)
        self._sampler = build_sampler(training.sampler, data)
        self._nothing = Tables(torch.empty(0, 0, device=device), torch.empty(0, 0, device=device))
        self._optimizer = DenseAdam(model.parameters(), config.learning_rate)
        self._paths = torch.Generator().manual_seed(derive_seed(seed, "search", "paths"))
        self._generators = {
            name: torch.Generator(device).manual_seed(derive_seed(seed, "search", name))
            for name in ("negatives", "dropout")
        }
        self._cosine = Cosine(config.learning_rate, num_steps)
        self._counted = 0
        self._loss_sum = torch.zeros((), device=device)

    def step(self, batch: PairBatch) -> None:
        """What all children have in common is embedded once, and gets its gradient once."""
        assert batch.past is not None
        count, past = self._training.num_negatives, batch.past
        nobody = PlainEncoded(self._nothing, self._nothing)  # the samplers that are allowed look at no model
        negative_BN = self._sampler.sample(nobody, batch, count, generator=self._generators["negatives"])
        item_BK = torch.cat([batch.item[:, None], negative_BN], dim=1)
        groups = of_like_length(past.item_ST)
        read, there = zip(*(self.model.embedded(group.item_GT) for group in groups), strict=True)
        scored_BKD = embedding(item_BK, self.model.items)
        *read_leaves, scored_leaf = (some.detach().requires_grad_() for some in (*read, scored_BKD))
        row_B = torch.searchsorted(past.user_S, batch.user)
        self._optimizer.zero_grad()
        paths = fair_paths(self._config, self._paths)
        for path in paths:
            vectors = []
            for leaf, there_GT in zip(read_leaves, there, strict=True):
                state_GTD = drop(leaf, self.model.dropout, self._generators["dropout"])
                vectors.append(self.model.follow(path, state_GTD, there_GT))
            vector_SD = put_back(groups, vectors)
            score_BK = (scored_leaf @ vector_SD[row_B][:, :, None]).squeeze(2)
            loss = self._loss(score_BK[:, 0], score_BK[:, 1:]).mean()
            (loss / len(paths)).backward()  # type: ignore[no-untyped-call]  # torch
            self._loss_sum += loss.detach() / len(paths)
        assert scored_leaf.grad is not None
        scored_leaf.grad += self._training.l2 * scored_leaf.detach() / len(batch.user)
        leaves = [*read_leaves, scored_leaf]
        torch.autograd.backward([*read, scored_BKD], [leaf.grad for leaf in leaves])
        self._optimizer.rate(self._cosine.rate)
        self._optimizer.step()
        self._cosine.step += 1
        self._counted += 1

    def end_epoch(self) -> dict[str, float]:
        record = {TRAIN_LOSS: float(self._loss_sum) / self._counted, "learning_rate": self._cosine.rate}
        self._loss_sum.zero_()
        self._counted = 0
        return record

    def state(self) -> dict[str, Tensor]:
        return {
            "step": torch.tensor(self._cosine.step),
            "counted": torch.tensor(self._counted),
            "loss_sum": self._loss_sum,
            "paths": self._paths.get_state(),
            **prefixed("optimizer", self._optimizer.state()),
            **prefixed("generator", {name: g.get_state() for name, g in self._generators.items()}),
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self._cosine.step, self._counted = int(state["step"]), int(state["counted"])
        self._loss_sum.copy_(state["loss_sum"])
        self._paths.set_state(state["paths"].cpu())
        self._optimizer.load_state(without_prefix("optimizer", state))
        for name, tensor in without_prefix("generator", state).items():
            self._generators[name].set_state(tensor.cpu())


@final
class ProbedPasses:
    """Passes over histories; validation is the mean of a few children that stay the same, over a few users
    (AMER §2.3: to see when the one-shot model has been trained enough)."""

    def __init__(
        self, passes: SequencePasses, data: RankingData, user_S: Tensor, probes: Sequence[Path]
    ) -> None:
        self._passes, self._data, self._user_S, self._probes = passes, data, user_S, probes

    def __len__(self) -> int:
        return len(self._passes)

    def batches(self, batch_size: int, generator: torch.Generator, first: int = 0) -> Iterator[PairBatch]:
        """Those of the passes."""
        return self._passes.batches(batch_size, generator, first)

    @property
    def has_validation(self) -> bool:
        """A search needs it."""
        return True

    def validate(self, model: BlocksModel, metric: str) -> dict[str, float]:
        """The mean over the probes."""
        values = measure_children(model, self._probes, self._data, self._user_S, metric)
        return {metric: sum(values) / len(values)}
