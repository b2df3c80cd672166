"""The benchmarks' own parts: what they generate, and that all sides compute the same."""

from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from tests.benchmarks.speed import agreement, generated
from tests.benchmarks.speed.peers import lightgcn_pytorch, mixgcf, recbole, samplers
from tests.benchmarks.speed.side_by_side import Competitor, number, rates, table


def test_pairs_are_distinct_sorted_and_counted():
    pairs = generated.generate(500, 300, 5_000, seed=3)
    key = pairs.user.astype(np.int64) * 300 + pairs.item
    assert len(pairs) == len(pairs.item) == 5_000
    assert (np.diff(key) > 0).all()
    assert pairs.user.min() == 0
    assert pairs.user.max() == 499
    assert pairs.item.max() < 300


def test_popularity_falls_like_a_power_law():
    counts = np.sort(np.bincount(generated.generate(5_000, 2_000, 100_000, seed=0).item))[::-1]
    assert counts[:20].sum() > 10 * counts[-20:].sum()


def test_the_same_seed_gives_the_same_pairs():
    one, same, other = (generated.generate(100, 200, 900, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(one.item, same.item)
    assert not np.array_equal(one.item, other.item)


@pytest.mark.parametrize("ids", ["integer", "string"])
def test_a_written_file_holds_every_pair_once(tmp_path: Path, ids):
    pairs = generated.generate(100, 200, 900, seed=0)
    pairs.write_parquet(tmp_path / "pairs.parquet", ids=ids)
    table = pq.read_table(tmp_path / "pairs.parquet").to_pandas().astype(str)
    read = table.apply(lambda column: column.str.removeprefix("user-").str.removeprefix("item-").astype(int))
    read = read.sort_values(["user_id", "item_id"]).to_numpy()
    assert np.array_equal(read, np.stack([pairs.user, pairs.item], axis=1))
    assert table.user_id.iloc[0] != table.user_id.iloc[1]  # scattered


@pytest.mark.parametrize("kind", ["mf", "lightgcn", "ngcf"])
def test_losses_of_all_peers_equal_ours(kind):
    deviations = agreement.deviations(kind)
    assert len(deviations) >= 2
    assert max(deviations.values()) < 1e-5


def test_peers_draw_the_only_item_that_a_user_lacks():
    data, missing = agreement.one_item_lacking()
    user = torch.arange(data.num_users)
    users, items = torch.randn(data.num_users, 8), torch.randn(data.num_items, 8)
    observed, used = mixgcf.train_set(data), recbole.used_items(data)
    positives = lightgcn_pytorch.positives_of(data)
    cumulative = samplers.cumulative_popularity(data, 0.75)
    drawn = {
        "MixGCF": torch.tensor(mixgcf.sample(torch.stack([user, user], 1), observed, data.num_items, 1))[
            :, 0
        ],
        "RecBole": recbole.sample(used, user.numpy(), data.num_items, 1),
        "popularity": torch.tensor(samplers.popularity_loop(observed, cumulative, user)),
        "RecBole's popularity": samplers.RecBolePopularity(data, 0.75).sample(user),
        "DNS": samplers.dns_mixgcf(users, items, observed, user, 3),
        "RecBole's DNS": samplers.dns_recbole(users, items, used, user, 3),
        "AOBPR": torch.tensor(samplers.aobpr_loop(users, items, positives, user, 5.0)),
    }
    for name, item in drawn.items():
        assert torch.equal(item, missing), name
    triples = lightgcn_pytorch.sample(positives, data.num_users, data.num_items, 100)
    assert np.array_equal(triples[:, 2], missing[triples[:, 0]])


def test_recbole_draws_popular_items_by_their_share():
    data = generated.generate(400, 50, 1_000, seed=0).ranking_data()
    sampler = samplers.RecBolePopularity(data, 0.75)
    counts = np.bincount(sampler._draw(200_000), minlength=50) / 200_000
    shares = data.popularity.double() ** 0.75
    assert np.abs(counts - (shares / shares.sum()).numpy()).max() < 0.003


def test_competitors_are_measured_in_turns():
    two_a_call = partial(partial, pow, 2.0, 1)
    measured = rates({"one": Competitor(two_a_call), "other": Competitor(two_a_call)}, rounds=1, seconds=0.01)
    assert measured.keys() == {"one", "other"}
    assert min(measured.values()) > 0


def test_a_competitor_that_fails_ends_the_measurement():
    with pytest.raises(SystemExit, match="a competitor failed"):
        rates({"none": Competitor(partial(int, "none"))}, seconds=0.01)


def test_a_table_is_markdown():
    assert table(("", "rate"), [("a", number(12345.6))]).splitlines() == [
        "|  | rate |",
        "| --- | ---: |",
        "| a | 12,300 |",
    ]
