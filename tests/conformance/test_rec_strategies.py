"""Every model, sampler, loss and searcher that a recipe can name passes the same tests."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from components.core.checkpoint import Checkpoint
from components.core.errors import InvalidInputError
from components.core.policy import Policy
from components.core.recipe.ranking import (
    AobprSampler,
    LightGcn,
    LossConfig,
    MatrixFactorization,
    ModelConfig,
    NegativesConfig,
    Ngcf,
    RankingTraining,
    SamplerConfig,
)
from components.core.recipe.search import AmerForSequences, FromPolicy, SearchConfig
from components.core.recipe.sequences import Blocks, Caser
from components.core.strategy import Strategy, registered
from components.rec.data import PairBatch, Past, RankingData
from components.rec.loop import Schedule, fit
from components.rec.models.base import HopEncoded, PlainEncoded, Tables
from components.rec.objective import build_model, build_negatives, build_sampler, passes_of
from components.rec.ranking_learner import RankingLearner
from components.rec.samplers.base import Mixer
from components.rec.sequences.histories import last_items
from tests.unit.rec.conftest import clustered as clustered
from tests.unit.rec.conftest import make_data

MODELS = registered(ModelConfig)
SAMPLERS = pytest.mark.parametrize(
    "config",
    [
        *(strategy() for strategy in registered(SamplerConfig)),
        AobprSampler(kept=3),
        AobprSampler(ranks="factors"),
    ],
    ids=["uniform", "popularity", "dns", "aobpr", "srns", "aobpr-kept", "aobpr-factors"],
)
MIXERS = pytest.mark.parametrize(
    "config",
    [kind() for kind in registered(NegativesConfig) if kind not in registered(SamplerConfig)],
    ids=["mixgcf"],
)
LOSSES, SEARCHES = (
    registered(LossConfig),
    [kind for kind in registered(SearchConfig) if kind is not FromPolicy],
)


def batch_of_all(data: RankingData) -> PairBatch:
    """Everybody's first positive, with their whole history."""
    everyone = torch.arange(data.num_users)
    history = data.in_time.train
    past = Past(everyone, last_items(history, everyone, history.counts, 50))
    return PairBatch(everyone, data.train.values[data.train.offsets[:-1]], past)


def named(strategies: tuple[type[Strategy], ...]) -> pytest.MarkDecorator:
    kinds = [strategy.model_fields["kind"].default for strategy in strategies]
    return pytest.mark.parametrize("strategy", strategies, ids=kinds)


# -- models


@named(MODELS)
def test_model_encodes_everyone(strategy: type[Strategy], clustered: RankingData) -> None:
    model = build_model(RankingTraining(model=strategy()), clustered, seed=1)
    tables = model.tables()
    assert len(tables.users) == clustered.num_users
    assert len(tables.items) == clustered.num_items
    assert tables.users.shape[1] == tables.items.shape[1]
    assert torch.isfinite(tables.users).all()
    assert torch.isfinite(tables.items).all()


@named(MODELS)
def test_model_scores_pairs_as_its_tables_do(strategy: type[Strategy], clustered: RankingData) -> None:
    training = RankingTraining(model=strategy())
    model = build_model(training, clustered, seed=1)
    model.optimizer(training.learning_rate)
    generator = torch.Generator().manual_seed(2)
    user_B, item_BK = (
        torch.randint(0, 40, (50,), generator=generator),
        torch.randint(0, 30, (50, 3), generator=generator),
    )
    tables, encoded = model.tables(), model.encode(batch_of_all(clustered))
    expected = (tables.users[user_B][:, None] * tables.items[item_BK]).sum(dim=2)
    pairs = encoded.pairs(user_B, item_BK)
    assert torch.allclose(pairs.score_BK, expected, atol=1e-6)
    assert torch.allclose(encoded.scores(user_B, item_BK), expected, atol=1e-6)
    own = torch.zeros_like(model.users) if strategy is Caser else getattr(model, "users", torch.zeros(40, 1))
    assert torch.allclose(pairs.user_l2_B, own[user_B].square().sum(dim=1) / 2)
    assert torch.allclose(pairs.item_l2_BK, model.items[item_BK].square().sum(dim=2) / 2)


@named(MODELS)
def test_model_is_made_by_its_seed_alone(strategy: type[Strategy], clustered: RankingData) -> None:
    torch.manual_seed(99)
    first = build_model(RankingTraining(model=strategy()), clustered, seed=1).state_dict()
    torch.manual_seed(7)
    second = build_model(RankingTraining(model=strategy()), clustered, seed=1).state_dict()
    other = build_model(RankingTraining(model=strategy()), clustered, seed=2).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@named(MODELS)
def test_model_names_the_tensors_with_a_row_for_each_user_or_item(strategy: type[Strategy]) -> None:
    def shapes(num_users: int, num_items: int) -> dict[str, torch.Size]:
        pairs = [(n % num_users, n % num_items) for n in range(num_users * num_items)]
        data = make_data(num_users, num_items, sorted(set(pairs)), [])
        model = build_model(RankingTraining(model=strategy()), data, seed=1)
        assert model.rows.keys() <= model.state_dict().keys()
        return {name: tensor.shape for name, tensor in model.state_dict().items()}

    rows = strategy.load().rows
    small, more_users, more_items = shapes(5, 7), shapes(11, 7), shapes(5, 13)
    for name, shape in small.items():
        assert more_users[name] == ((11, *shape[1:]) if rows.get(name) == "user" else shape)
        assert more_items[name] == ((13, *shape[1:]) if rows.get(name) == "item" else shape)
    assert all(small[name][0] == {"user": 5, "item": 7}[side] for name, side in rows.items())


@named(MODELS)
def test_gradient_reaches_every_parameter(strategy: type[Strategy], clustered: RankingData) -> None:
    model = build_model(RankingTraining(model=strategy()), clustered, seed=1)
    model.optimizer(0.01)
    encoded = model.encode(batch_of_all(clustered), torch.Generator().manual_seed(1))
    everyone = torch.arange(clustered.num_users)
    everything = torch.arange(clustered.num_items).expand(clustered.num_users, -1)
    encoded.pairs(everyone, everything).score_BK.square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.to_dense().abs().sum() > 0, name


@named(MODELS)
def test_model_learns_the_planted_clusters(
    strategy: type[Strategy], clustered: RankingData, tmp_path: Path
) -> None:
    training = RankingTraining(model=strategy(), learning_rate=0.01)
    learner = RankingLearner(training, clustered, build_model(training, clustered, seed=1), seed=1)
    epochs = 200 if training.reads_histories else 40  # each history is in an epoch once
    schedule = Schedule(epochs=epochs, patience=40, validate_every=1, batch_size=64, metric="recall@6")
    result = fit(
        learner,
        passes_of(training, clustered),
        schedule,
        seed=1,
        checkpoint=Checkpoint(str(tmp_path / "a"), tmp_path, "key"),
        name="t",
    )
    learner.model.load_state_dict(result.weights)
    # six unseen items of the own cluster hold all three relevant ones: who knows the clusters gets 1.0,
    # one that does not about 6 / 21
    assert clustered.validate(learner.model, "recall@6")["recall@6"] > 0.9


# -- samplers


@SAMPLERS
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), num_negatives=st.integers(1, 4))
def test_sampler_draws_only_unobserved_items(config: Strategy, seed: int, num_negatives: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    pairs = [
        (u, i) for u in range(5) for i in range(9) if torch.rand((), generator=generator) < 0.5 or i == u
    ]
    pairs = [pair for pair in pairs if pair[1] != 8 - pair[0]]  # everyone misses one item
    data = make_data(5, 9, pairs, [])
    users, items = torch.randn(5, 3, generator=generator), torch.randn(9, 3, generator=generator)
    encoded = PlainEncoded(Tables(users, items), Tables(users, items))
    user, item = (torch.randint(0, count, (40,), generator=generator) for count in (5, 9))
    batch = PairBatch(user, item)
    sampler, twin = build_sampler(config, data), build_sampler(config, data)

    drawn = sampler.sample(encoded, batch, num_negatives, generator=torch.Generator().manual_seed(seed))
    again = twin.sample(encoded, batch, num_negatives, generator=torch.Generator().manual_seed(seed))

    assert drawn.shape == (40, num_negatives)
    assert drawn.dtype == torch.int64
    assert torch.equal(drawn, again)
    observed = set(pairs)
    for of, row in zip(user.tolist(), drawn.tolist(), strict=True):
        assert all(0 <= item < 9 and (of, item) not in observed for item in row)


@SAMPLERS
def test_sampler_refuses_a_user_without_negatives(config: Strategy) -> None:
    with pytest.raises(InvalidInputError, match="no negative is left"):
        build_sampler(config, make_data(2, 2, [(0, 0), (0, 1), (1, 0)], []))


@SAMPLERS
def test_sampler_leaves_the_global_randomness_alone(config: Strategy, clustered: RankingData) -> None:
    encoded = build_model(RankingTraining(), clustered, seed=1).encode()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    build_sampler(config, clustered).sample(
        encoded, PairBatch(torch.arange(10), torch.arange(10)), 2, generator=torch.Generator().manual_seed(1)
    )
    assert torch.equal(torch.get_rng_state(), before)


# -- mixers


@MIXERS
@pytest.mark.parametrize(
    "model", [LightGcn(dim=4, num_layers=2), Ngcf(dim=4, layer_dims=(3, 5))], ids=["lightgcn", "ngcf"]
)
def test_mixer_mixes_only_unobserved_items(config: Strategy, model: Strategy, clustered: RankingData) -> None:
    mixer, twin = build_negatives(config, clustered), build_negatives(config, clustered)
    assert isinstance(mixer, Mixer)
    assert isinstance(twin, Mixer)
    encoded = build_model(RankingTraining(model=model), clustered, seed=1).encode()
    assert isinstance(encoded, HopEncoded)
    batch = PairBatch(clustered.user[:50], clustered.item[:50])
    torch.manual_seed(1)
    before = torch.get_rng_state()
    mixed = mixer.mix(encoded, batch, 2, generator=torch.Generator().manual_seed(3))
    again = twin.mix(encoded, batch, 2, generator=torch.Generator().manual_seed(3))
    assert torch.equal(torch.get_rng_state(), before)
    assert mixed.item_BNL.shape == mixed.share_BNL.shape == (50, 2, 3)
    assert torch.equal(mixed.item_BNL, again.item_BNL)
    assert torch.equal(mixed.share_BNL, again.share_BNL)
    assert ((mixed.share_BNL >= 0) & (mixed.share_BNL < 1)).all()
    observed = set(zip(clustered.user.tolist(), clustered.item.tolist(), strict=True))
    for user, items in zip(batch.user.tolist(), mixed.item_BNL.flatten(1).tolist(), strict=True):
        assert all((user, item) not in observed for item in items)


@MIXERS
def test_mixer_refuses_a_user_without_negatives(config: Strategy) -> None:
    with pytest.raises(InvalidInputError, match="no negative is left"):
        build_negatives(config, make_data(2, 2, [(0, 0), (0, 1), (1, 0)], []))


@MIXERS
def test_a_graph_model_learns_with_a_mixer(config: Strategy, clustered: RankingData, tmp_path: Path) -> None:
    training = RankingTraining(model=LightGcn(), sampler=config, learning_rate=0.01)
    learner = RankingLearner(training, clustered, build_model(training, clustered, seed=1), seed=1)
    schedule = Schedule(epochs=20, patience=20, validate_every=1, batch_size=64, metric="recall@6")
    checkpoint = Checkpoint(str(tmp_path / "a"), tmp_path, "key")
    result = fit(learner, clustered, schedule, seed=1, checkpoint=checkpoint, name="t")
    assert result.best_value > 0.9


# -- losses


@named(LOSSES)
@settings(max_examples=40, deadline=None)
@given(
    positive=st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=5),
    margin=st.floats(0.125, 10, width=32),
)
def test_loss_is_per_positive_and_falls_as_the_margin_grows(
    strategy: type[Strategy], positive: list[float], margin: float
) -> None:
    loss = strategy.load()(strategy())
    positive_B = torch.tensor(positive, requires_grad=True)
    negative_BN = torch.zeros(len(positive), 3)
    value = loss(positive_B, negative_BN)
    assert value.shape == (len(positive),)
    assert torch.isfinite(value).all()
    assert (value >= 0).all()
    assert (loss(positive_B + margin, negative_BN) <= value).all()
    value.sum().backward()
    assert positive_B.grad is not None
    assert torch.isfinite(positive_B.grad).all()


# -- searchers


@named(SEARCHES)
def test_search_gives_a_policy_that_applies(
    strategy: type[Strategy], clustered: RankingData, tmp_path: Path
) -> None:
    model = Blocks(dim=8) if strategy is AmerForSequences else MatrixFactorization(dim=8)
    training = RankingTraining(model=model, epochs=2, metric="ndcg@5")
    small = {"epochs": 2, "num_blocks": 2, "children": 20, "top": 2, "fine_tune": {"epochs": 1}}
    config = strategy.model_validate({k: v for k, v in small.items() if k in strategy.model_fields})
    results = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        checkpoint = Checkpoint(str(tmp_path / name / "policy"), tmp_path / name, "key")
        results.append(strategy.load()(config, training, clustered, seed=1, checkpoint=checkpoint))
    result, again = results

    result.policy.write(tmp_path)
    assert Policy.read(tmp_path) == result.policy == again.policy
    patched = result.policy.apply(training)
    assert isinstance(patched, RankingTraining)
    assert patched.model.kind == training.model.kind
    assert result.trajectory.history == again.trajectory.history
    if result.weights is not None:
        build_model(patched, clustered, seed=1).load_state_dict(result.weights)
