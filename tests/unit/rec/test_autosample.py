"""AutoSample against its equations."""

import math
from pathlib import Path

import pytest
import torch

from components.core.checkpoint import Checkpoint
from components.core.recipe.ranking import (
    DnsSampler,
    MatrixFactorization,
    PopularitySampler,
    RankingTraining,
    UniformSampler,
)
from components.core.recipe.search import AutoSample, Temperature
from components.rec.data import PairBatch, RankingData
from components.rec.gumbel import gumbel_softmax
from components.rec.losses.bpr import Bpr
from components.rec.models.base import Tables
from components.rec.objective import build_model, build_sampler
from components.rec.searchers.autosample import AutoSampleLearner, search

TRAINING = RankingTraining(model=MatrixFactorization(dim=8), batch_size=64, learning_rate=0.01, l2=0.01)
SAMPLERS = (UniformSampler(), PopularitySampler(), DnsSampler(pool_size=4))


@pytest.mark.parametrize("straight_through", [True, False])
def test_a_step_has_the_gradients_of_equation_12(clustered: RankingData, straight_through: bool) -> None:
    """Against one plain expression Σ wₜ Lₜ that autograd differentiates as a whole."""
    config = AutoSample(samplers=SAMPLERS, straight_through=straight_through)
    model = build_model(TRAINING, clustered, seed=1)
    learner = AutoSampleLearner(config, TRAINING, clustered, model, seed=1)
    twin = build_model(TRAINING, clustered, seed=1)
    probe = AutoSampleLearner(config, TRAINING, clustered, twin, seed=1)  # draws the same randomness
    batch = PairBatch(clustered.user[:64], clustered.item[:64])

    learner.step(batch)

    encoded, tables = twin.encode(), Tables(twin.users, twin.items)
    logit = torch.zeros(3, requires_grad=True)
    negatives = [
        s.sample(encoded, batch, 1, generator=probe._generators["negatives"]) for s in probe._samplers
    ]
    probability = gumbel_softmax(torch.log_softmax(logit, 0), 1.0, probe._generators["gumbel"])
    if straight_through:
        hard = torch.nn.functional.one_hot(probability.argmax(), 3)
        weight = hard - probability.detach() + probability
    else:
        weight = probability
    loss = torch.zeros(())
    for t, negative in enumerate(negatives):
        user, positive, other = (
            tables.users[batch.user],
            tables.items[batch.item],
            tables.items[negative[:, 0]],
        )
        margin = (user * positive).sum(1) - (user * other).sum(1)
        l2 = (user.square().sum() + positive.square().sum() + other.square().sum()) / 2 / 64
        loss = (
            loss
            + weight[t] * -torch.log(torch.sigmoid(margin)).mean()
            + weight[t].detach() * TRAINING.l2 * l2
        )
    loss.backward()
    assert logit.grad is not None
    assert learner.logit_T.grad is not None
    assert torch.allclose(learner.logit_T.grad, logit.grad, atol=1e-6)
    for found, expected in zip(model.parameters(), twin.parameters(), strict=True):
        assert found.grad is not None
        assert expected.grad is not None
        assert torch.allclose(found.grad.to_dense(), expected.grad.to_dense(), atol=1e-6)


def test_gumbel_argmax_draws_from_alpha() -> None:
    alpha = torch.tensor([0.6, 0.3, 0.1])
    generator = torch.Generator().manual_seed(0)
    drawn = gumbel_softmax(alpha.log().expand(60_000, 3), 0.3, generator).argmax(dim=1)
    share = torch.bincount(drawn, minlength=3) / 60_000
    assert torch.allclose(share, alpha, atol=4 * math.sqrt(0.25 / 60_000))


def test_gumbel_softmax_hardens_as_temperature_falls() -> None:
    log_alpha = torch.tensor([0.5, 0.3, 0.2]).log().expand(200, 3)
    warm, cold = (gumbel_softmax(log_alpha, t, torch.Generator().manual_seed(0)) for t in (1.0, 0.01))
    assert torch.allclose(warm.sum(dim=1), torch.ones(200))
    assert cold.max(dim=1).values.mean() > 0.98 > warm.max(dim=1).values.mean()


def test_temperature_anneals_to_its_minimum() -> None:
    temperature = Temperature()
    assert temperature.at(0) == 1.0
    assert temperature.at(10_000) == pytest.approx(0.5)
    assert temperature.at(10**6) == 0.01


def test_proposition_1_by_monte_carlo(clustered: RankingData) -> None:
    """E over samplers that share k negatives as α says = Σ αₜ E with all k from sampler t (eq. 6)."""
    alpha, k = (0.5, 0.25, 0.25), 8
    model = build_model(TRAINING, clustered, seed=3)
    encoded, users, items = model.encode(), clustered.user[:64], clustered.item[:64]
    batch = PairBatch(users, items)
    samplers = [build_sampler(config, clustered) for config in SAMPLERS]
    generator = torch.Generator().manual_seed(7)
    bpr, positive = Bpr(TRAINING.loss), encoded.scores(users, items[:, None])[:, 0]

    def loss(negative_BN: torch.Tensor) -> float:
        return float(bpr(positive, encoded.scores(users, negative_BN)).sum())

    mixed, separate = [], []
    for _ in range(1500):
        parts = [
            s.sample(encoded, batch, int(a * k), generator=generator)
            for s, a in zip(samplers, alpha, strict=True)
        ]
        mixed.append(loss(torch.cat(parts, dim=1)))
        whole = [loss(s.sample(encoded, batch, k, generator=generator)) for s in samplers]
        separate.append(sum(a * value for a, value in zip(alpha, whole, strict=True)))
    left, right = torch.tensor(mixed), torch.tensor(separate)
    error = math.sqrt(float(left.var() + right.var()) / len(left))
    assert abs(float(left.mean() - right.mean())) < 4 * error


def test_alpha_prefers_the_sampler_with_the_lower_loss(clustered: RankingData, tmp_path: Path) -> None:
    """On its own training loss, which is what eq. 12 descends on, α moves to the easy negatives."""
    config = AutoSample(
        samplers=(UniformSampler(), DnsSampler(pool_size=16)), alpha_learning_rate=0.05, epochs=15
    )
    result = search(
        config, TRAINING, clustered, seed=1, checkpoint=Checkpoint(str(tmp_path / "p"), tmp_path, "key")
    )
    last = result.trajectory.history[-1]
    assert last["loss_uniform"] < last["loss_dns"]
    assert last["alpha_uniform"] > 0.7
    assert sum(result.policy.decision["alpha"].values()) == pytest.approx(1)
