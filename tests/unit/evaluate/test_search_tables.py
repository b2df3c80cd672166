"""What a page tells of a search for architectures."""

from types import SimpleNamespace
from typing import Any

from components.core.policy import Policy
from components.evaluate.report.training import search_summary, search_tables


def findings(decision: dict[str, Any], metric: str) -> Any:
    policy = Policy(kind="amer", patch={"model.blocks": []}, decision=decision, best_epoch=2, epochs=3)
    return SimpleNamespace(
        policy=policy,
        trajectory=SimpleNamespace(num_rows=3),
        training={"training": {"metric": metric}},
        wording=SimpleNamespace(metric_name=str.upper),
    )


def test_the_best_children_are_told() -> None:
    best = [{"child": "(conv1, relu)", "shared": 0.25, "fine_tuned": 0.3}]
    some = findings(
        {"child": "(conv1, relu)", "children": 2000, "looked_at_by": {"users": 1024}, "best": best}, "ndcg@10"
    )
    assert search_summary(some).startswith("Decided: the layers (conv1, relu). The policy")
    (table,) = search_tables(some)
    assert table.caption == "The best of 2,000 children, by NDCG@10 on validation"
    assert table.rows == [("(conv1, relu)", "0.2500", "0.3000")]


def test_interactions_are_told() -> None:
    products = [{"fields": ["C1", "C2", "I3"], "logloss": 0.45}]
    some = findings({"products": products, "tried": [741, 1778]}, "auc")
    assert search_summary(some).startswith("Decided: 1 interaction, as below.")
    (table,) = search_tables(some)
    assert table.caption == "Interactions, of 741, 1,778 that were looked at in 2 rounds"
    assert table.rows == [("C1 ⊙ C2 ⊙ I3", "0.450000")]


def test_blocks_that_read_histories_are_told_beside_the_layers() -> None:
    best = [{"child": "(target, relu)", "shared": 0.6, "fine_tuned": 0.7}]
    layers = [{"child": "40 dice", "shared": 0.5, "fine_tuned": 0.8}]
    some = findings(
        {
            "blocks": {"child": "(target, relu)", "children": 90, "best": best},
            "child": "40 dice", "children": 80, "best": layers, "looked_at_by": {"examples": 70},
        },
        "auc",
    )  # fmt: skip
    assert search_summary(some).startswith("Decided: the blocks (target, relu); the layers 40 dice.")
    blocks, mlp = search_tables(some)
    assert blocks.header[:2] == ("blocks, from the first", "on the shared weights, over 70 examples")
    assert blocks.rows == [("(target, relu)", "0.6000", "0.7000")]
    assert mlp.caption == "The best of 80 children, by AUC on validation"
    assert mlp.rows == [("40 dice", "0.5000", "0.8000")]


def test_of_another_search_there_is_no_table() -> None:
    assert list(search_tables(findings({"sampler": "uniform"}, "auc"))) == []
