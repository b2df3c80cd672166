"""SRNS against its definition in NumPy, and its memory's law."""

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.special import expit
from scipy.stats import chisquare

from components.core.recipe.ranking import RankingTraining, SrnsSampler
from components.rec.data import PairBatch, RankingData
from components.rec.models.base import PlainEncoded, Tables
from components.rec.objective import build_model, build_sampler
from components.rec.samplers.srns import RobustNegative
from tests.unit.rec.conftest import make_data


def built(config: SrnsSampler, data: RankingData) -> RobustNegative:
    sampler = build_sampler(config, data)
    assert isinstance(sampler, RobustNegative)
    return sampler


@pytest.mark.parametrize("num_epochs", [0, 1, 3, 7])
def test_the_drawn_negative_has_the_highest_sum_of_score_and_deviation(
    clustered: RankingData, num_epochs: int
) -> None:
    config = SrnsSampler(memory=6, alpha=4.0, warmup=5)
    sampler = built(config, clustered)
    batch = PairBatch(clustered.user[:50], clustered.item[:50])
    models = [build_model(RankingTraining(), clustered, seed=seed) for seed in range(num_epochs + 1)]
    sampler.sample(models[0].encode(), batch, 1, generator=torch.Generator().manual_seed(1))
    for model in models[:-1]:
        sampler.end_epoch(model)
    memory_BS = sampler.state()["memory"][batch.user].numpy().copy()

    drawn = sampler.sample(models[-1].encode(), batch, 2, generator=torch.Generator().manual_seed(2))

    def likelihood(model: torch.nn.Module) -> np.ndarray:
        users, items = (table.detach().numpy() for table in (model.users, model.items))
        user_BD = users[batch.user]
        positive_B = (user_BD * items[batch.item]).sum(1)
        return expit(np.einsum("bd,bsd->bs", user_BD, items[memory_BS]) - positive_B[:, None])

    value = likelihood(models[-1])
    if num_epochs:
        past = np.stack([likelihood(model) for model in models[:-1][-5:]])
        value = value + 4.0 * min(1, num_epochs / 5) * past.std(axis=0)
    best = np.argsort(-value, axis=1, kind="stable")[:, :2]
    assert drawn.tolist() == np.take_along_axis(memory_BS, best, axis=1).tolist()


def test_the_memory_is_drawn_without_replacement_in_proportion_to_exponentials() -> None:
    """One user, items 1, 2, 3 unobserved; of a memory of two and one fresh item two stay."""
    data = make_data(1, 4, [(0, 0)], [])
    score = {1: 0.0, 2: 1.0, 3: 2.5}
    items = torch.tensor([[9.0], *([score[item]] for item in (1, 2, 3))])
    encoded = PlainEncoded(Tables(torch.ones(1, 1), items), Tables(torch.ones(1, 1), items))
    config = SrnsSampler(memory=2, num_fresh=1, temperature=2.0)
    sampler, generator = built(config, data), torch.Generator().manual_seed(3)
    batch = PairBatch(torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.int64))
    found: Counter[tuple[int, ...]] = Counter()
    for _ in range(6000):
        sampler.load_state({"memory": torch.tensor([[1, 2]]), "epoch": torch.tensor(0)})
        sampler.sample(encoded, batch, 1, generator=generator)
        found[tuple(sorted(sampler.state()["memory"][0].tolist()))] += 1

    expected: Counter[tuple[int, ...]] = Counter()
    for fresh in (1, 2, 3):
        pool = sorted({1, 2, fresh})
        weight = {item: np.exp(score[item] / 2) for item in pool}
        total = sum(weight.values())
        for first, second in permutations(pool, 2):
            p = weight[first] / total * weight[second] / (total - weight[first])
            expected[tuple(sorted((first, second)))] += p / 3
    assert found.keys() == expected.keys()
    names = sorted(expected)
    assert chisquare([found[n] for n in names], [expected[n] * 6000 for n in names]).pvalue > 1e-4


def test_it_goes_on_where_it_was(clustered: RankingData) -> None:
    batch = PairBatch(clustered.user[:64], clustered.item[:64])
    whole, part = built(SrnsSampler(), clustered), built(SrnsSampler(), clustered)
    models = [build_model(RankingTraining(), clustered, seed=seed) for seed in range(8)]
    for sampler in (whole, part):
        generator = torch.Generator().manual_seed(1)
        for model in models[:7]:
            sampler.sample(model.encode(), batch, 1, generator=generator)
            sampler.end_epoch(model)
    resumed = built(SrnsSampler(), clustered)
    resumed.load_state({name: tensor.clone() for name, tensor in part.state().items()})
    left, right = (
        sampler.sample(models[7].encode(), batch, 1, generator=torch.Generator().manual_seed(2))
        for sampler in (whole, resumed)
    )
    assert torch.equal(left, right)
