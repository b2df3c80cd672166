"""The benchmarks' own parts: what they generate, and that all sides compute the same."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.benchmarks.speed import agreement, generated


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
