"""Samplers' empirical distributions against AutoSample's eq. 2 and Table 2, and their refusals."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor

from components.core.errors import InvalidInputError
from components.core.recipe.ranking import AobprSampler, DnsSampler, PopularitySampler, UniformSampler
from components.core.strategy import Strategy
from components.rec.data import PairBatch, RankingData
from components.rec.models.base import Encoded, PlainEncoded, Tables
from components.rec.objective import build_sampler
from components.rec.samplers import exact_ranks, factor_ranks
from components.rec.samplers import unobserved as unobserved_items
from tests.unit.rec.conftest import make_data

NUM_DRAWS = 60_000
SMALLEST_P = 1e-4  # a right sampler fails once in ten thousand seeds; the seed is fixed


@pytest.fixture
def world() -> tuple[RankingData, Encoded]:
    """3 users, 8 items of very different popularity, and arbitrary scores."""
    pairs = [(0, 0), (0, 3), (1, 0), (1, 1), (1, 2), (1, 7), (2, 4), (2, 5), (2, 6), (2, 0)]
    generator = torch.Generator().manual_seed(3)
    users, items = torch.randn(3, 4, generator=generator), torch.randn(8, 4, generator=generator)
    return make_data(3, 8, pairs, []), PlainEncoded(Tables(users, items), Tables(users, items))


def draws(config: Strategy, world: tuple[RankingData, Encoded], user: int, count: int = NUM_DRAWS) -> Tensor:
    data, encoded = world
    sampler = build_sampler(config, data)
    generator = torch.Generator().manual_seed(11)
    users = torch.full((count // 3,), user)
    return sampler.sample(encoded, positives(users), 3, generator=generator).flatten()


def positives(users: Tensor) -> PairBatch:
    """With whatever items: most samplers do not look at them."""
    return PairBatch(users, torch.zeros_like(users))


def assert_follows(drawn: Tensor, probability: dict[int, float], num_items: int = 8) -> None:
    counts = torch.bincount(drawn, minlength=num_items).tolist()
    assert sum(counts[item] for item in probability) == len(drawn), "an observed item was drawn"
    items = sorted(probability)
    total = sum(probability.values())
    expected = [len(drawn) * probability[item] / total for item in items]
    assert chisquare([counts[item] for item in items], expected).pvalue > SMALLEST_P


def unobserved(world: tuple[RankingData, Encoded], user: int) -> list[int]:
    data = world[0]
    seen = set(data.train.select(torch.tensor([user])).values.tolist())
    return [item for item in range(data.num_items) if item not in seen]


def by_score(world: tuple[RankingData, Encoded], user: int) -> list[int]:
    tables = world[1].tables()
    score = tables.users[user] @ tables.items.T
    return sorted(unobserved(world, user), key=lambda item: -float(score[item]))


@pytest.mark.parametrize("user", [0, 1, 2])
def test_uniform(world: tuple[RankingData, Encoded], user: int) -> None:
    assert_follows(draws(UniformSampler(), world, user), dict.fromkeys(unobserved(world, user), 1.0))


@pytest.mark.parametrize("beta", [0.0, 0.75, 2.0])
@pytest.mark.parametrize("user", [0, 1, 2])
def test_popularity(world: tuple[RankingData, Encoded], user: int, beta: float) -> None:
    popularity = world[0].popularity
    weights = {item: float(popularity[item].clamp(min=1)) ** beta for item in unobserved(world, user)}
    assert_follows(draws(PopularitySampler(beta=beta), world, user), weights)


@pytest.mark.parametrize("pool_size", [1, 2, 5])
def test_dns_is_the_best_of_a_uniform_pool(world: tuple[RankingData, Encoded], pool_size: int) -> None:
    ranked = by_score(world, 0)
    n = len(ranked)  # P(best has rank r) = ((n − r)^M − (n − r − 1)^M) / n^M, drawn with replacement
    weights = {
        item: ((n - rank) ** pool_size - (n - rank - 1) ** pool_size) / n**pool_size
        for rank, item in enumerate(ranked)
    }
    assert_follows(draws(DnsSampler(pool_size=pool_size), world, 0), weights)


@pytest.mark.parametrize("kept", [1, 5])
@pytest.mark.parametrize("scale", [0.7, 2.0, 50.0])
@pytest.mark.parametrize("user", [0, 1])
def test_aobpr(world: tuple[RankingData, Encoded], user: int, scale: float, kept: int) -> None:
    weights = {item: math.exp(-rank / scale) for rank, item in enumerate(by_score(world, user))}
    assert_follows(draws(AobprSampler(**{"lambda": scale, "kept": kept}), world, user), weights)


def test_a_ranking_is_kept_for_as_many_positives_as_the_recipe_says(
    world: tuple[RankingData, Encoded],
) -> None:
    """After the scores have turned round, a kept ranking still gives what was best before."""
    data, encoded = world
    turned = Tables(-encoded.tables().users, encoded.tables().items)
    sampler = build_sampler(AobprSampler(**{"lambda": 0, "kept": 3}), data)
    best, worst = by_score(world, 0)[0], by_score(world, 0)[-1]
    user, generator = torch.tensor([0]), torch.Generator().manual_seed(1)
    drawn = [int(sampler.sample(encoded, positives(user), 1, generator=generator))]
    for _ in range(3):
        drawn.append(
            int(sampler.sample(PlainEncoded(turned, turned), positives(user), 1, generator=generator))
        )
    assert drawn == [best, best, best, worst]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    num_items=st.integers(1, 900),
    levels=st.integers(1, 900),
    deep=st.booleans(),
)
def test_items_at_ranks_equal_a_full_sort(seed: int, num_items: int, levels: int, deep: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    score_RI = torch.randint(0, levels, (4, num_items), generator=generator).float()
    score_RI[0, : num_items // 2] = -torch.inf
    top = num_items if deep else max(1, num_items // 20)
    rank_RC = torch.randint(0, top, (4, 6), generator=generator)
    assert torch.equal(exact_ranks._find(score_RI, rank_RC), exact_ranks.items_at(score_RI, rank_RC))


def test_aobpr_at_zero_is_the_argmax(world: tuple[RankingData, Encoded]) -> None:
    for user in range(3):
        assert set(draws(AobprSampler(**{"lambda": 0}), world, user, 30).tolist()) == {
            by_score(world, user)[0]
        }


@pytest.mark.parametrize("config", [UniformSampler(), PopularitySampler(), DnsSampler(), AobprSampler()])
def test_a_user_who_knows_every_item_is_refused(config: Strategy) -> None:
    data = make_data(2, 3, [(0, 0), (0, 1), (0, 2), (1, 0)], [])
    with pytest.raises(InvalidInputError, match=r"1 of 2 users .* all 3 items"):
        build_sampler(config, data)


@pytest.mark.parametrize(
    "config",
    [
        UniformSampler(),
        PopularitySampler(),
        PopularitySampler(beta=3),
        AobprSampler(**{"lambda": 3, "ranks": "factors"}),
        AobprSampler(**{"lambda": 100, "ranks": "factors"}),
    ],
)
def test_the_compiled_draw_equals_the_plain_one(config: Strategy, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(2)
    pairs = [
        (user, item)
        for user in range(30)
        for item in range(50)
        if torch.rand((), generator=generator) < (item + 1) / 60
    ]
    data, users = make_data(31, 50, pairs, []), torch.arange(31).repeat(40)

    tables = Tables(torch.randn(31, 6, generator=generator), torch.randn(50, 6, generator=generator))

    def drawn() -> Tensor:
        seeded = torch.Generator().manual_seed(9)
        return build_sampler(config, data).sample(
            PlainEncoded(tables, tables), positives(users), 5, generator=seeded
        )

    compiled = drawn()
    for module in (unobserved_items, factor_ranks):
        monkeypatch.setattr(module, "takes_kernels", lambda tensor: False)
    assert torch.equal(compiled, drawn())


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=2, max_size=40), st.integers(1, 2))
def test_sorted_integers_order_as_sorted_values(values: list[float], dim: int) -> None:
    """Equal values, zeros of both signs and infinities included."""
    items_ID = torch.tensor(values[: len(values) // dim * dim]).reshape(-1, dim)
    assert torch.equal(factor_ranks._descending(items_ID), factor_ranks.descending_order(items_ID))


@pytest.mark.parametrize("scale", [0.7, 3.0])
@pytest.mark.parametrize("user", [0, 1, 2])
def test_factor_ranks_follow_their_definition(
    world: tuple[RankingData, Encoded], user: int, scale: float
) -> None:
    """Σ over dimensions of p(f | u) times the law of ranks, moved on from observed items."""
    encoded = world[1]
    tables, free = encoded.tables(), unobserved(world, user)
    deviation = tables.items.std(dim=0, correction=0)
    weight = (tables.users[user].abs() * deviation).tolist()
    expected = dict.fromkeys(free, 0.0)
    for f, share in enumerate(weight):
        order = tables.items[:, f].argsort(descending=True).tolist()
        if tables.users[user, f] < 0:
            order.reverse()
        law = [math.exp(-rank / scale) for rank in range(len(free))]
        for rank, p in enumerate(law):
            tries = [order[(rank + step) % len(order)] for step in range(4)]
            found = next((item for item in tries if item in free), None)
            for item in free if found is None else [found]:
                expected[item] += share / sum(weight) * p / sum(law) / (len(free) if found is None else 1)
    config = AobprSampler(**{"lambda": scale, "ranks": "factors"})
    possible = {item: p for item, p in expected.items() if p > 0}
    assert_follows(draws(config, world, user), possible)


def test_factor_ranks_are_sorted_again_after_so_many_draws(world: tuple[RankingData, Encoded]) -> None:
    data, _ = world
    sampler = build_sampler(AobprSampler(ranks="factors", refresh=1.0), data)  # 8 ln 8 = 16.6 draws
    items = torch.randn(8, 4, generator=torch.Generator().manual_seed(1))

    def order_after(items: Tensor, count: int) -> Tensor:
        tables = Tables(torch.ones(3, 4), items)
        generator = torch.Generator().manual_seed(1)
        encoded = PlainEncoded(tables, tables)
        sampler.sample(encoded, positives(torch.zeros(count, dtype=torch.int64)), 1, generator=generator)
        return sampler.state()["order"].clone()

    first = order_after(items, 10)
    assert torch.equal(order_after(-items, 10), first)
    assert torch.equal(order_after(-items, 1), (-items).T.argsort(dim=1, descending=True))


@pytest.mark.parametrize("config", [AobprSampler(ranks="factors"), AobprSampler(kept=9)])
def test_a_sampler_goes_on_where_it_was(config: Strategy, world: tuple[RankingData, Encoded]) -> None:
    data, encoded = world
    users = torch.tensor([0, 1, 2] * 5)
    whole, part = (
        build_sampler(config, data),
        build_sampler(config, data),
    )
    for sampler in (whole, part):
        sampler.sample(encoded, positives(users), 1, generator=torch.Generator().manual_seed(1))
    resumed = build_sampler(config, data)
    resumed.load_state(part.state())
    moved = Tables(torch.ones(3, 4), -encoded.tables().items)
    left, right = (
        sampler.sample(
            PlainEncoded(moved, moved), positives(users), 1, generator=torch.Generator().manual_seed(2)
        )
        for sampler in (whole, resumed)
    )
    assert torch.equal(left, right)
