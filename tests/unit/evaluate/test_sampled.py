"""Ranking among sampled items, against what is to be expected of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from components.core.recipe.ranking_judgement import Sampled
from components.data.parquet import read_table
from components.evaluate.ranking.sampled import _draw, grade_sampled
from components.evaluate.ranking.scoring import Exam, read_exam

from .test_evaluate import evaluate
from .test_evaluate import world as world

CPU = torch.device("cpu")


@pytest.fixture
def exam(world: dict[str, Any]) -> Exam:
    return read_exam(world["inputs"]["dataset"], "train_valid", CPU)


def better_shares(world: dict[str, Any], scores: Any) -> dict[int, list[float]]:
    """For each test user and each of their items: how much of what they never met is before it; ties half."""
    parts, shares = world["parts"], {}
    for user in sorted({user for user, _ in parts["test"]}):
        met = {item for part in parts.values() for other, item in part if other == user}
        rest = np.array(sorted(set(range(60)) - met))
        score_I = scores(user)
        shares[user] = [
            float((score_I[rest] > score_I[item]).mean() + (score_I[rest] == score_I[item]).mean() / 2)
            for other, item in parts["test"]
            if other == user
        ]
    return shares


def test_only_what_a_user_never_met_is_drawn(world: dict[str, Any], exam: Exam) -> None:
    drawn = _draw(exam, 500, torch.Generator().manual_seed(1))
    met = {pair for part in world["parts"].values() for pair in part}
    seen: dict[int, set[int]] = {}
    for row, items in zip(exam.relevant.rows.tolist(), drawn.tolist(), strict=True):
        user = int(exam.users[row])
        assert not met & {(user, item) for item in items}
        seen.setdefault(user, set()).update(items)
    for user, items in seen.items():
        assert len(items) == 60 - sum(one == user for one, _ in met)


@pytest.mark.parametrize("model", ["challenger", "popularity"])
def test_among_one_item_the_chance_is_the_share_of_worse_ones(
    model: str, world: dict[str, Any], exam: Exam
) -> None:
    """Over many draws: a user's items count together as one."""
    popularity = np.bincount([item for _, item in world["parts"]["train"]], minlength=60)
    scores = {
        "challenger": lambda user: (
            world["items"].astype(np.float32) @ world["users"][user].astype(np.float32)
        ),
        "popularity": lambda user: popularity,
    }[model]
    expected = 1 - np.mean([np.mean(some) for some in better_shares(world, scores).values()])
    found = [
        grade_sampled(Sampled(negatives=1), (1,), world["inputs"]["model"], exam, seed)[model]["hit_ratio@1"]
        for seed in range(200)
    ]
    assert np.mean(found) == pytest.approx(expected, abs=4 * np.std(found) / 200**0.5)


def test_a_perfect_place_is_worth_all(world: dict[str, Any], exam: Exam) -> None:
    """A model that scores what a user likes above all else, whatever is drawn."""
    users, items = np.eye(40), np.zeros((60, 40))
    for user, item in world["parts"]["test"]:
        items[item, user] = 1
    ids = [[f"{side}{number:02d}" for number in range(count)] for side, count in (("u", 40), ("i", 60))]
    perfect = world["loop"].model(*ids, users, items)
    found = grade_sampled(Sampled(), (1, 5), perfect, exam, 1)["challenger"]
    assert found == {"hit_ratio@1": 1, "hit_ratio@5": 1, "ndcg@1": 1, "ndcg@5": 1}


def test_the_evaluation_tells_them_where_it_is_asked_to(world: dict[str, Any]) -> None:
    assert not (evaluate(world) / "sampled.parquet").exists()
    output = evaluate(world, evaluation={"sampled": {"negatives": 10}})
    rows = read_table(output / "sampled.parquet").to_pylist()
    assert {(row["model"], row["metric"], row["k"]) for row in rows} == {
        (model, metric, k)
        for model in ("challenger", "popularity")
        for metric in ("hit_ratio", "ndcg")
        for k in (5, 20)
    }
    assert {row["value"] for row in rows if row["k"] == 20 and row["metric"] == "hit_ratio"} == {1.0}
    report = Path(output / "report.html").read_text()
    assert "Among 10 sampled items" in report
    assert "decides nothing" in report
    again = evaluate(world, evaluation={"sampled": {"negatives": 10}})
    assert (again / "sampled.parquet").read_bytes() == (output / "sampled.parquet").read_bytes()
