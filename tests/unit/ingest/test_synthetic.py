"""The made-up world."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from components.catalog import INGEST
from components.core.recipe import IngestParams
from components.core.recipe.source import SyntheticSource
from components.core.stage import execute
from components.data.parquet import read_table
from components.ingest.synthetic import read


def world(seed: int = 3, **source) -> pl.DataFrame:
    (batch,) = read(SyntheticSource(**source), {}, seed)
    return batch.rows.frame


def test_it_is_a_function_of_the_seed(tmp_path: Path) -> None:
    outputs = []
    for number, seed in enumerate((1, 1, 2)):
        params = IngestParams(source=SyntheticSource(num_users=50, num_items=40), seed=seed)
        result = execute(INGEST, params, {}, str(tmp_path / str(number)))
        outputs.append((Path(result.uri) / "interactions.parquet").read_bytes())
    assert outputs[0] == outputs[1] != outputs[2]
    table = read_table(tmp_path / "0" / "interactions.parquet")
    assert table.column_names == ["user_id", "item_id", "timestamp"]
    assert table["user_id"][0].as_py() == "u00"


def test_counts_and_pairs_are_as_asked_for() -> None:
    frame = world(num_users=3000, num_items=800, interactions_per_user=30)
    assert not frame.select("user_id", "item_id").is_duplicated().any()
    assert frame["user_id"].n_unique() == 3000
    assert len(frame) / 3000 == pytest.approx(30, rel=0.03)


def test_popularity_falls_as_a_power_of_the_rank() -> None:
    frame = world(num_users=20_000, num_items=500, interactions_per_user=5, affinity=0, popularity_exponent=1)
    counts = np.sort(frame["item_id"].value_counts()["count"].to_numpy())[::-1][:100]
    slope = np.polyfit(np.log(np.arange(1, 101)), np.log(counts), 1)[0]
    assert slope == pytest.approx(-1, abs=0.1)


def test_taste_can_be_learned_and_goes_away_without_affinity() -> None:
    """Two users share far more items than chance, if they are of one cluster."""

    def excess(affinity: float) -> float:
        frame = world(
            num_users=400, num_items=200, interactions_per_user=10, num_clusters=5,
            popularity_exponent=0.0, affinity=affinity,
        )  # fmt: skip
        seen = np.zeros((400, 200))
        users, items = (frame[name].str.slice(1).cast(pl.Int64).to_numpy() for name in ("user_id", "item_id"))
        seen[users, items] = 1
        common = seen @ seen.T
        np.fill_diagonal(common, 0)
        shared_by_chance = seen.sum(axis=1).mean() ** 2 / 200
        return float((common * (common - 1)).sum() / (400 * 399) / shared_by_chance**2)

    # with nearly all interactions inside one of 5 clusters, 1 pair in 5 shares about 5 times as much
    assert excess(0.0) < 2
    assert excess(0.9) > 2 * excess(0.0)


def test_more_clusters_than_items_and_more_wishes_than_items() -> None:
    frame = world(num_users=5, num_items=3, num_clusters=10, interactions_per_user=50)
    assert len(frame) <= 15
    assert frame["item_id"].n_unique() == 3
