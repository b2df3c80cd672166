"""AutoFIS (Liu et al. 2020): which products DeepFM's factorization machine needs."""

from collections.abc import Mapping
from itertools import combinations
from typing import Final, final

import torch
from torch import Tensor, nn

from components.core.checkpoint import Checkpoint
from components.core.hashing import derive_seed
from components.core.policy import Policy
from components.core.recipe.classification import ClassificationTraining, DeepFm
from components.core.recipe.search import AutoFis
from components.rec.classification import ExampleLearner, build_loss
from components.rec.classifiers.base import ClassifierModel, Shape
from components.rec.classifiers.deepfm import DeepFmNetwork
from components.rec.classifiers.interactions import HadamardProducts
from components.rec.fields import ExampleBatch, FieldData
from components.rec.loop import Schedule, fit
from components.rec.searchers.base import SearchResult
from components.rec.weights import prefixed, without_prefix

_FIRST: Final = 0.6  # of each weight, as in the authors' code


@final
class GatedNetwork(DeepFmNetwork):
    """DeepFM whose products count by Σ αₘ norm(pₘ) (§3.2). They are normalised over the batch, so that a
    weight cannot be small because its product is large.

    Attributes:
        alpha_M: α; no parameter, as it has an optimizer of its own.
    """

    alpha_M: Tensor

    def __init__(self, config: DeepFm, shape: Shape, *, generator: torch.Generator) -> None:
        super().__init__(config, shape, generator=generator)
        pairs = tuple(combinations(shape.names, 2))
        self.chosen = pairs if config.interactions is None else config.interactions
        self.gated = HadamardProducts(self.chosen, shape.names)
        self.norm = nn.BatchNorm1d(len(self.chosen), affine=False)
        self.register_buffer("alpha_M", torch.full((len(self.chosen),), _FIRST))

    def forward(self, rows_BFW: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        embedding_BFD, _ = self._shape.split(rows_BFW)
        normal_BM = self.norm(self.gated(embedding_BFD).sum(dim=2))
        return self.answer(rows_BFW, (normal_BM * self.alpha_M).sum(dim=1, keepdim=True), dropout)


@final
class GatedModel(ClassifierModel):
    """A table under a `GatedNetwork`."""

    network_type = GatedNetwork


@final
class Grda:
    """Generalised regularised dual averaging (Chao & Cheng 2019; AutoFIS eq. 9): α = S(α₀ − γ Σ ∇, g), S
    moving everything g = c √γ (t γ)^μ towards zero, and what is nearer to it is zero. A weight that is zero
    comes back when its gradients say so."""

    def __init__(self, config: AutoFis, values: Tensor) -> None:
        self._config, self._values = config, values
        self._dual = values.detach().clone()
        self._step = 0

    @torch.no_grad()
    def step(self) -> None:
        """Move the values along their gradients, and forget these."""
        config = self._config
        assert self._values.grad is not None
        self._dual -= config.learning_rate * self._values.grad
        self._step += 1
        moved = config.strength * config.learning_rate**0.5
        moved *= (self._step * config.learning_rate) ** config.growth
        self._values.copy_(self._dual.sign() * (self._dual.abs() - moved).clamp(min=0))
        self._values.grad = None

    def state(self) -> dict[str, Tensor]:
        """All that goes on from here needs beside the values."""
        return {"dual": self._dual, "step": torch.tensor(self._step)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state` gave."""
        self._dual.copy_(state["dual"])
        self._step = int(state["step"])


@final
class AutoFisLearner(ExampleLearner):
    """A step moves the weights of products and everything else on the same batch (§3.2, one level)."""

    def __init__(
        self,
        config: AutoFis,
        training: ClassificationTraining,
        data: FieldData,
        model: GatedModel,
        seed: int,
    ) -> None:
        super().__init__(
            training,
            data,
            model,
            build_loss(training.loss, data, None, seed),
            optimizer=model.optimizer(training.learning_rate),
            draws={"dropout": derive_seed(seed, "dropout")},
        )
        network = _network(model)
        network.alpha_M = network.alpha_M.detach().requires_grad_()  # wherever it has been moved to
        self._grda = Grda(config, network.alpha_M)

    def step(self, batch: ExampleBatch) -> None:
        looked = self.model.look_up(batch)
        logit_BL = self.model.answer(looked, self._generators["dropout"])
        self._descend(self._loss(logit_BL, batch.label_B), looked)
        self._grda.step()

    def end_epoch(self) -> dict[str, float]:
        kept = int(_network(self.model).alpha_M.count_nonzero())
        return {**super().end_epoch(), "kept_products": float(kept)}

    def state(self) -> dict[str, Tensor]:
        return {**super().state(), **prefixed("grda", self._grda.state())}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        super().load_state(state)
        self._grda.load_state(without_prefix("grda", state))


def search(
    config: AutoFis,
    training: ClassificationTraining,
    data: FieldData,
    *,
    seed: int,
    checkpoint: Checkpoint,
) -> SearchResult:
    """The policy is the products whose weights are not zero, and that they are weighted. W′ is the same model
    without normalisation, which answers alike."""
    assert isinstance(training.model, DeepFm)
    generator = torch.Generator().manual_seed(derive_seed(seed, "weights"))
    section = training.model.model_copy(update={"weighted": False})
    model = GatedModel(section, data, generator=generator).to(data.device)
    learner = AutoFisLearner(config, training, data, model, seed)
    schedule = Schedule.of(training, epochs=config.epochs, patience=config.epochs, validate_every=1)
    trajectory = fit(learner, data, schedule, seed=seed, checkpoint=checkpoint, name="search")
    network = _network(model)
    with torch.no_grad():
        model.load_state_dict(trajectory.weights)
    alpha_M = network.alpha_M.detach()
    kept = alpha_M.nonzero().flatten().tolist()
    named = [list(network.chosen[place]) for place in kept]
    policy = Policy(
        kind=config.kind,
        patch={"model.interactions": named, "model.weighted": True},
        decision={
            "weighed": [
                {"fields": fields, "weight": float(alpha_M[place])}
                for fields, place in zip(named, kept, strict=True)
            ],
            "of": len(network.chosen),
        },
        best_epoch=trajectory.best_epoch,
        epochs=trajectory.epochs,
    )
    return SearchResult(policy, trajectory, _folded(model, kept))


@torch.no_grad()
def _folded(model: GatedModel, kept: list[int]) -> dict[str, Tensor]:
    """Weights of the DeepFM with these products alone: Σ αₘ (pₘ − mₘ) / sₘ = Σ (αₘ / sₘ) pₘ + what the bias
    takes over."""
    network = _network(model)
    norm, own = network.norm, ("norm.", "alpha_M")
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale_M = network.alpha_M / (norm.running_var + norm.eps).sqrt()
    weights = {
        name: tensor.detach().clone()
        for name, tensor in model.state_dict().items()
        if not name.removeprefix("network.").startswith(own)
    }
    weights["network.weight_M"] = scale_M[kept].clone()
    shift = (scale_M * norm.running_mean).sum()
    weights["network.output.bias"] -= weights["network.output.weight"][:, 0] * shift
    return weights


def _network(model: nn.Module) -> GatedNetwork:
    network = model.network
    assert isinstance(network, GatedNetwork)
    return network
