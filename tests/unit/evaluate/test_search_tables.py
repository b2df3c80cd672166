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
    products = [{"fields": ["C1", "C2", "I3"], "auc": 0.75}]
    some = findings({"products": products, "tried": [741, 1778]}, "auc")
    assert search_summary(some).startswith("Decided: 1 interaction, as below.")
    (table,) = search_tables(some)
    assert table.caption == "Interactions, of 741, 1,778 that were looked at in 2 rounds"
    assert table.rows == [("C1 ⊙ C2 ⊙ I3", "0.7500")]


def test_of_another_search_there_is_no_table() -> None:
    assert list(search_tables(findings({"sampler": "uniform"}, "auc"))) == []
