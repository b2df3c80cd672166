"""The made-up world of labelled examples."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from components.catalog import INGEST
from components.core.recipe import IngestExamplesParams
from components.core.recipe.examples import SyntheticExamples
from components.core.stage import execute
from components.data.parquet import read_table
from components.ingest.synthetic_examples import read


def world(seed: int = 3, **source: Any) -> pl.DataFrame:
    (batch,) = read(SyntheticExamples(**source), {}, seed)
    return batch.rows.frame


def test_it_is_a_function_of_the_seed(tmp_path: Path) -> None:
    outputs = []
    for number, seed in enumerate((1, 1, 2)):
        params = IngestExamplesParams(source=SyntheticExamples(num_examples=500), seed=seed)
        result = execute(INGEST, params, {}, str(tmp_path / str(number)))
        outputs.append((Path(result.uri) / "interactions.parquet").read_bytes())
    assert outputs[0] == outputs[1] != outputs[2]
    table = read_table(tmp_path / "0" / "interactions.parquet")
    assert table.column_names == ["label", "device", "genres", "hour", "item", "price", "user"]
    assert table.num_rows == 500


@pytest.mark.parametrize(
    ("source", "shares"),
    [
        ({"positive_share": 0.2}, [0.8, 0.2]),
        ({"positive_share": 0.99}, [0.01, 0.99]),
        ({"num_classes": 5}, [0.2] * 5),
        ({"num_classes": 3, "noise": 0.0, "popularity_exponent": 0.0}, [1 / 3] * 3),
    ],
)
def test_classes_have_the_shares_that_were_asked_for(source: dict[str, Any], shares: list[float]) -> None:
    count = np.bincount(world(num_examples=5000, **source)["label"].to_numpy())
    assert count / 5000 == pytest.approx(shares, abs=0.001)


def test_every_class_has_examples_in_the_smallest_world() -> None:
    for share in (1e-6, 1 - 1e-6):
        assert (
            world(num_examples=100, num_users=2, num_items=2, positive_share=share)["label"].n_unique() == 2
        )


def test_values_are_in_their_ranges() -> None:
    frame = world(num_examples=3000, num_users=50, num_items=30)
    assert frame["user"].n_unique() == 50
    assert frame["item"].n_unique() == 30
    assert frame["hour"].is_between(0, 24, closed="left").all()
    assert (frame["price"] > 0).all()
    assert frame["genres"].list.len().is_between(1, 3).all()
    assert (frame.group_by("item").agg(pl.col("genres").n_unique())["genres"] == 1).all()


def test_popularity_falls_as_a_power_of_the_rank() -> None:
    frame = world(num_examples=100_000, num_items=500, popularity_exponent=1.0)
    counts = np.sort(frame["item"].value_counts()["count"].to_numpy())[::-1][:100]
    slope = np.polyfit(np.log(np.arange(1, 101)), np.log(counts), 1)[0]
    assert slope == pytest.approx(-1, abs=0.1)


def one_hot(values: pl.Series) -> np.ndarray:
    return values.to_dummies().to_numpy()


def features(frame: pl.DataFrame) -> np.ndarray:
    """Of an additive model: users, items, genres, devices, the price and the hour."""
    genres = frame["genres"].list.join("|").str.split("|")
    names = sorted(set(genres.explode()))
    hour = frame["hour"].to_numpy() * np.pi / 12
    columns = [
        *(one_hot(frame[name]) for name in ("user", "item", "device")),
        np.stack([genres.list.contains(name).to_numpy() for name in names], axis=1),
        np.log(frame["price"].to_numpy())[:, None],
        np.stack([np.sin(hour), np.cos(hour)], axis=1),
    ]
    return np.concatenate(columns, axis=1).astype(float)


def fitted(x_NF: np.ndarray, y_N: np.ndarray, penalty: float = 3.0) -> tuple[np.ndarray, float]:
    """Weights and bias of a logistic regression, by Newton's method."""
    x_NF = np.column_stack([x_NF, np.ones(len(x_NF))])
    weight_F = np.zeros(x_NF.shape[1])
    ridge_F = np.append(np.full(x_NF.shape[1] - 1, penalty), 1e-6)
    for _ in range(8):
        p_N = 1 / (1 + np.exp(-x_NF @ weight_F))
        gradient_F = x_NF.T @ (p_N - y_N) + ridge_F * weight_F
        hessian_FF = (x_NF * (p_N * (1 - p_N))[:, None]).T @ x_NF + np.diag(ridge_F)
        weight_F -= np.linalg.solve(hessian_FF, gradient_F)
    return weight_F[:-1], float(weight_F[-1])


def logloss(p_N: np.ndarray, y_N: np.ndarray) -> float:
    return float(-np.mean(y_N * np.log(p_N) + (1 - y_N) * np.log(1 - p_N)))


def auc(score_N: np.ndarray, y_N: np.ndarray) -> float:
    rank_N = np.argsort(np.argsort(score_N)) + 1.0
    positives = int(y_N.sum())
    return float(
        (rank_N[y_N == 1].sum() - positives * (positives + 1) / 2) / positives / (len(y_N) - positives)
    )


def test_labels_can_be_learned_from_the_fields() -> None:
    """Even by an additive model, which knows nothing of taste."""
    frame = world(num_examples=8000, num_users=200, num_items=100)
    x_NF, y_N = features(frame), frame["label"].to_numpy()
    train, test = slice(0, 6400), slice(6400, None)
    weight_F, bias = fitted(x_NF[train], y_N[train])
    score_N = x_NF[test] @ weight_F + bias
    prior = np.full(1600, y_N[train].mean())
    assert logloss(1 / (1 + np.exp(-score_N)), y_N[test]) < 0.9 * logloss(prior, y_N[test])
    additive = auc(score_N, y_N[test])
    assert additive > 0.72
    assert additive < 0.9  # some of it is left for models that see users and items together


def test_taste_is_more_than_the_sum_of_user_and_item() -> None:
    """Residuals of an additive fit over users and items repeat for the same user and item."""
    frame = world(num_examples=40_000, num_users=40, num_items=20, positive_share=0.5, noise=0.0)
    user_N, item_N = (frame[name].cast(pl.Categorical).to_physical().to_numpy() for name in ("user", "item"))
    y_N = frame["label"].to_numpy().astype(float)
    half_N = np.arange(len(y_N)) % 2

    def residuals(half: int) -> np.ndarray:
        chosen = half_N == half
        total, count = (
            np.zeros((user_N.max() + 1, item_N.max() + 1)),
            np.zeros((user_N.max() + 1, item_N.max() + 1)),
        )
        np.add.at(total, (user_N[chosen], item_N[chosen]), y_N[chosen])
        np.add.at(count, (user_N[chosen], item_N[chosen]), 1)
        rate = total / np.maximum(count, 1)
        rate = rate - rate.mean(axis=0) - rate.mean(axis=1, keepdims=True) + rate.mean()
        return rate.ravel()

    assert np.corrcoef(residuals(0), residuals(1))[0, 1] > 0.6
