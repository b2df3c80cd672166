"""The evaluate stage: rankings against a slow loop, the decision, and what it leaves behind."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.core.errors import GateFailedError, IntegrityError, InvalidInputError
from components.core.recipe import EvaluateParams
from components.core.recipe.ranking_judgement import RankingEvaluation, RankingPromotion
from components.core.stage import Context
from components.data.parquet import read_table
from components.evaluate.ranking.run import run

NUM_USERS, NUM_ITEMS = 40, 60
USER_IDS = [f"u{user:02d}" for user in range(NUM_USERS)]
ITEM_IDS = [f"i{item:02d}" for item in range(NUM_ITEMS)]


@pytest.fixture
def world(loop) -> dict[str, Any]:
    """Interactions that a good model can guess: users like the items of their own half."""
    generator = np.random.default_rng(7)
    users_UD, items_ID = generator.normal(size=(NUM_USERS, 4)), generator.normal(size=(NUM_ITEMS, 4))
    chance_UI = users_UD @ items_ID.T + generator.gumbel(size=(NUM_USERS, NUM_ITEMS))
    parts: dict[str, list[tuple[int, int]]] = {"train": [], "valid": [], "test": []}
    for user, items in enumerate(np.argsort(-chance_UI, axis=1)[:, :15]):
        shuffled = generator.permutation(items)
        for part, chosen in (("train", shuffled[:9]), ("valid", shuffled[9:12]), ("test", shuffled[12:])):
            parts[part] += [(user, int(item)) for item in chosen]
    parts["test"] = [(user, item) for user, item in parts["test"] if user % 5]  # some users are not tested
    inputs = {"interactions": loop.interactions(), "dataset": loop.dataset(USER_IDS, ITEM_IDS, **parts)}
    inputs["policy"] = loop.policy()
    inputs["model"] = loop.model(USER_IDS, ITEM_IDS, users_UD, items_ID)
    return {"loop": loop, "inputs": inputs, "parts": parts, "users": users_UD, "items": items_ID}


def params(root: Path, **changes: Any) -> EvaluateParams:
    return EvaluateParams(
        evaluation=RankingEvaluation(ks=(5, 20), user_block=7, **changes.pop("evaluation", {})),
        promotion=RankingPromotion(**{"metric": "ndcg@20", **changes}),
        model="toy",
        tracking_uri=f"sqlite:///{root}/mlflow.db",
    )


def evaluate(world: Mapping[str, Any], **changes: Any) -> Path:
    output = world["loop"].folder("evaluation")
    run(params(world["loop"].root, **changes), world["inputs"], output, Context(None))  # type: ignore[arg-type]
    return output


def slow_metrics(ranked: list[int], relevant: set[int], k: int) -> dict[str, float]:
    gains = [1.0 if item in relevant else 0.0 for item in ranked[:k]]
    dcg = sum(gain / math.log2(place + 2) for place, gain in enumerate(gains))
    ideal = sum(1 / math.log2(place + 2) for place in range(min(k, len(relevant))))
    found = sum(gains)
    return {
        f"recall@{k}": found / len(relevant),
        f"ndcg@{k}": dcg / ideal,
        f"precision@{k}": found / k,
        f"hit_ratio@{k}": float(found > 0),
    }


def slow_champion(
    world: Mapping[str, Any], known_users: Mapping[str, np.ndarray], known_items: Mapping[str, np.ndarray]
) -> dict[int, list[int]]:
    """What a served champion would list, user by user."""
    popularity = np.bincount([item for _, item in world["parts"]["train"]], minlength=NUM_ITEMS)
    lists = {}
    for user in sorted({user for user, _ in world["parts"]["test"]}):
        seen = {item for other, item in world["parts"]["train"] if other == user}
        scored = []
        for item, item_id in enumerate(ITEM_IDS):
            if item_id not in known_items or item in seen:
                continue
            vector = known_users.get(USER_IDS[user])
            score = popularity[item] if vector is None else float(vector @ known_items[item_id])
            scored.append((-score, item))
        lists[user] = [item for _, item in sorted(scored)]
    return lists


@pytest.mark.parametrize("mask", ["train", "train_valid"])
def test_metrics_equal_a_loop_over_users(world, mask):
    output = evaluate(world, evaluation={"mask": mask})
    masked = world["parts"]["train"] + (world["parts"]["valid"] if mask == "train_valid" else [])
    expected = []
    for user in sorted({user for user, _ in world["parts"]["test"]}):
        seen = {item for other, item in masked if other == user}
        relevant = {item for other, item in world["parts"]["test"] if other == user}
        scores = world["items"].astype(np.float32) @ world["users"][user].astype(np.float32)
        ranked = [int(item) for item in np.argsort(-scores, kind="stable") if item not in seen]
        expected.append({"user": user, "user_id": USER_IDS[user], "num_relevant": len(relevant)})
        expected[-1] |= slow_metrics(ranked, relevant, 5) | slow_metrics(ranked, relevant, 20)
    table = read_table(output / "per_user.parquet")
    assert table.num_rows == len(expected) == 32
    for found, wanted in zip(table.to_pylist(), expected, strict=True):
        assert {name: found[name] for name in wanted} == pytest.approx(wanted)
        assert found["num_train"] == sum(user == found["user"] for user, _ in world["parts"]["train"])
    for row in read_table(output / "metrics.parquet").to_pylist():
        mean = np.mean([user[f"{row['metric']}@{row['k']}"] for user in expected])
        assert row["value"] == pytest.approx(mean)
        assert row["num_users"] == 32
        assert row["champion_value"] is None


def test_a_champion_with_another_vocabulary_answers_as_when_served(world):
    generator = np.random.default_rng(1)
    # It knows some of today's users and items, in another order, and some that are gone.
    user_ids = [f"u{user:02d}" for user in generator.permutation(55)[:40]]
    item_ids = [f"i{item:02d}" for item in generator.permutation(70)[:45]]
    users_UD, items_ID = generator.normal(size=(40, 6)), generator.normal(size=(45, 6))
    world["inputs"]["champion"] = world["loop"].model(
        user_ids, item_ids, users_UD, items_ID, name="old_model"
    )
    table = read_table(evaluate(world) / "per_user.parquet").to_pylist()
    lists = slow_champion(
        world,
        dict(zip(user_ids, users_UD.astype(np.float32), strict=True)),
        dict(zip(item_ids, items_ID.astype(np.float32), strict=True)),
    )
    assert not set(USER_IDS) <= set(user_ids)
    for row in table:
        relevant = {item for user, item in world["parts"]["test"] if user == row["user"]}
        for k in (5, 20):
            for name, value in slow_metrics(lists[row["user"]], relevant, k).items():
                assert row[f"champion_{name}"] == pytest.approx(value), (row["user"], name)


def test_the_same_model_as_champion_ties_and_is_not_promoted(world):
    world["inputs"]["champion"] = world["inputs"]["model"]
    output = evaluate(world)
    verdict = json.loads((output / "verdict.json").read_text())
    assert verdict["challenger"] == verdict["champion"]
    assert not verdict["promote"]
    assert verdict["champion_version"] is None  # nothing is registered
    for row in read_table(output / "metrics.parquet").to_pylist():
        assert row["value"] == row["champion_value"]


def test_the_report_is_whole_offline_and_reproducible(world):
    world["inputs"]["champion"] = world["inputs"]["model"]
    output = evaluate(world, floors={"recall@20": 0.1})
    first = {path.name: path.read_bytes() for path in output.iterdir()}
    report = first["report.html"].decode()
    for sha256 in json.loads(first["lineage.json"]).values():
        assert sha256 in report
    for needed in (
        "The champion stays",
        "NDCG@20",
        "α of every sampler",
        "searched",
        "prefers-color-scheme",
    ):
        assert needed in report
    for network in ("http://", "https://", "<script", "<link", "@import", "url("):
        assert network not in report
    assert str(world["loop"].root) not in report
    evaluate(world, floors={"recall@20": 0.1})
    assert first == {path.name: path.read_bytes() for path in output.iterdir()}


def test_below_a_floor_everything_is_written_and_then_refused(world):
    floors = {"recall@20": 0.99, "ndcg@5": 0.0, "precision@20": 0.9}
    with pytest.raises(GateFailedError) as refused:
        evaluate(world, floors=floors)
    assert "promotion.floors.recall@20: got 0." in str(refused.value)
    assert "need at least 0.99" in str(refused.value)
    assert "precision@20" in str(refused.value)
    assert "ndcg@5" not in str(refused.value)
    output = world["loop"].root / "evaluation"
    verdict = json.loads((output / "verdict.json").read_text())
    assert not verdict["promote"]
    assert [floor["passed"] for _, floor in sorted(verdict["floors"].items())] == [True, False, False]
    assert "Not good enough" in (output / "report.html").read_text()
    assert read_table(output / "metrics.parquet").num_rows == 8


def test_a_dataset_without_test_interactions_is_refused(loop):
    inputs = {"interactions": loop.interactions(), "dataset": loop.dataset(["a"], ["x"], [(0, 0)], [], [])}
    inputs |= {"policy": loop.policy(), "model": loop.model(["a"], ["x"], np.ones((1, 2)), np.ones((1, 2)))}
    with pytest.raises(InvalidInputError, match="no test interactions"):
        evaluate({"loop": loop, "inputs": inputs})


def test_a_model_of_another_dataset_is_refused(world):
    other = [(0, 1), (1, 2)]
    world["inputs"]["dataset"] = world["loop"].dataset(USER_IDS, ITEM_IDS, other, [], [(0, 3)])
    with pytest.raises(InvalidInputError, match="model: was made from dataset"):
        evaluate(world)


def test_embeddings_in_another_order_than_the_vocabulary_are_refused(world):
    world["inputs"]["model"] = world["loop"].model(USER_IDS[::-1], ITEM_IDS, world["users"], world["items"])
    with pytest.raises(IntegrityError, match="its users are not those of the dataset"):
        evaluate(world)


def test_a_champion_from_another_world_is_refused(world):
    world["inputs"]["champion"] = world["loop"].model(
        ["u00"], ["stranger"], np.ones((1, 2)), np.ones((1, 2)), name="old_model"
    )
    with pytest.raises(InvalidInputError, match="none of its 1 items"):
        evaluate(world)
