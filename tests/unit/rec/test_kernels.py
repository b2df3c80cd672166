"""Models with compiled kernels against the same models in torch's own operations."""

import pytest
import torch
from torch import Tensor

from components.compiled import available
from components.core.recipe.ranking import (
    DnsSampler,
    LightGcn,
    MatrixFactorization,
    ModelConfig,
    Ngcf,
    RankingTraining,
    SamplerConfig,
    UniformSampler,
)
from components.core.recipe.sequences import SEQUENCE_MODELS
from components.core.strategy import Strategy, registered
from components.rec.data import RankingData
from components.rec.models import lightgcn, mf, ngcf, propagation
from components.rec.models.base import PlainEncoded
from components.rec.objective import build_model
from components.rec.ranking_learner import RankingLearner
from tests.unit.rec.conftest import make_data

pytestmark = pytest.mark.skipif(not available(), reason="Numba is not installed")
USERS, ITEMS = 200, 150  # some of whom have no interactions
MODELS: list[Strategy] = [
    MatrixFactorization(dim=20),
    LightGcn(dim=20, num_layers=1),
    LightGcn(dim=20, num_layers=3),
    Ngcf(dim=20, layer_dims=(7,), message_dropout=0),
    Ngcf(dim=20, layer_dims=(12, 16, 9), message_dropout=0),
    Ngcf(dim=20, layer_dims=(12, 16, 9), message_dropout=0.3),
    Ngcf(dim=20, layer_dims=(12, 16), message_dropout=0.3, normalize_layers=True),
]
every_model = pytest.mark.parametrize("model", MODELS, ids=repr)


@pytest.fixture(scope="module")
def sparse_world() -> RankingData:
    """600 train pairs, a few of the items in many of them."""
    generator = torch.Generator().manual_seed(3)
    user = torch.randint(0, USERS, (600,), generator=generator)
    item = (torch.rand(600, generator=generator) ** 2 * ITEMS).long()
    return make_data(USERS, ITEMS, sorted(set(zip(user.tolist(), item.tolist(), strict=True))), [])


@pytest.fixture
def plainly(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """From here on models take their plain form, until this is undone."""
    for module in (mf, lightgcn, ngcf, propagation):
        monkeypatch.setattr(module, "takes_kernels", lambda _: False, raising=False)
    return monkeypatch


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def test_every_model_is_compared() -> None:
    assert {type(model) for model in MODELS} == set(registered(ModelConfig)) - set(SEQUENCE_MODELS)


@every_model
@pytest.mark.parametrize("dropout", [False, True], ids=["exactly", "with dropout"])
def test_scores_and_gradients(
    model: Strategy, dropout: bool, sparse_world: RankingData, plainly: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(4)
    looked_at = torch.arange(12), torch.randint(0, ITEMS, (12, 6), generator=generator)
    user_B = torch.randint(0, USERS // 4, (60,), generator=generator)
    item_BK = torch.randint(0, ITEMS // 2, (60, 3), generator=generator)
    slope_BK = torch.randn(60, 3, generator=generator)

    def results() -> dict[str, Tensor]:
        built = build_model(RankingTraining(model=model), sparse_world, seed=1)
        built.optimizer(0.01)  # which decides on the gradients' form
        encoded = built.encode(dropout=torch.Generator().manual_seed(5) if dropout else None)
        assert isinstance(encoded, PlainEncoded) == plain
        before = encoded.scores(*looked_at)  # a sampler's glance
        pairs = encoded.pairs(user_B, item_BK)
        total = (pairs.score_BK * slope_BK).sum() + 0.1 * pairs.user_l2_B.sum()
        (total + (0.2 * slope_BK * pairs.item_l2_BK).sum()).backward()
        found = {f"gradient of {name}": p.grad.to_dense() for name, p in built.named_parameters()}
        found |= {"scores": before, "of pairs": pairs.score_BK.detach(), "of users": pairs.user_l2_B.detach()}
        tables = encoded.tables()
        return found | {
            "of items": pairs.item_l2_BK.detach(),
            "users": tables.users,
            "items": tables.items,
            "some users": encoded.users(user_B),
        }

    plain = True
    expected = results()
    plainly.undo()
    plain = False
    found = results()
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].shape == tensor.shape, name
        assert relative(found[name], tensor) < 1e-5, name


@every_model
@pytest.mark.parametrize("sampler", [UniformSampler(), DnsSampler(pool_size=4)], ids=["uniform", "dns"])
def test_losses_of_fifty_steps(
    model: Strategy, sampler: SamplerConfig, sparse_world: RankingData, plainly: pytest.MonkeyPatch
) -> None:
    training = RankingTraining(model=model, sampler=sampler, learning_rate=0.003, batch_size=32)

    def results() -> tuple[Tensor, Tensor]:
        learner = RankingLearner(training, sparse_world, build_model(training, sparse_world, 1), seed=1)
        sums, generator = [], torch.Generator().manual_seed(7)
        while len(sums) < 50:
            for batch in sparse_world.batches(32, generator):
                learner.step(batch)
                sums.append(learner._loss_sum.clone())
        learner.end_epoch()
        tables = learner.model.tables()
        return torch.stack(sums), torch.cat([tables.users, tables.items])

    expected_losses, expected = results()
    plainly.undo()
    losses, found = results()
    assert torch.allclose(losses, expected_losses, rtol=1e-5)
    assert relative(found, expected) < 1e-4
