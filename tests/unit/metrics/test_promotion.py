"""The rule of promotion, on numbers that can be worked out by hand."""

from typing import Any

import pytest

from components.core.gates import Gate
from components.core.recipe.ranking_judgement import RankingPromotion
from components.core.verdict import BeyondAccuracy, Comparison, SliceResult
from components.metrics.decision import learned, promoted
from components.metrics.promotion import floors, judge, reason

NDCG, RECALL = "ndcg@20", "recall@20"
MEANS = {NDCG: 0.25, RECALL: 0.5}


def lead(low: float, *, other: float = 0.2, difference: float = 0.05) -> Comparison:
    return Comparison(
        challenger=other + difference,
        other=other,
        difference=difference,
        low=low,
        high=2 * difference - low,
        p_value=0.1,
        better=60,
        equal=20,
        worse=20,
    )


def of_slice(name: str, users: int, low: float, champion: float = 0.2) -> SliceResult:
    return SliceResult(
        slice=name,  # type: ignore[arg-type]
        metric=NDCG,
        users=users,
        challenger=champion,
        champion=champion,
        difference=0.0,
        low=low,
        high=0.1,
    )


def gates_of(
    *,
    champion: Comparison | None = None,
    slices: tuple[SliceResult, ...] = (),
    gini: float = 0.5,
    **rule: Any,
) -> list[Gate]:
    beaten = {name: {NDCG: lead(0.01), RECALL: lead(0.01)} for name in ("popularity", "item_knn")}
    if champion:
        beaten["champion"] = {NDCG: champion, RECALL: lead(-0.02, difference=0.0)}
    beyond = {"gini@20": BeyondAccuracy(challenger=gini, champion=None, popularity=0.9, item_knn=0.6)}
    return judge(RankingPromotion(metric=NDCG, **rule), MEANS, beaten, slices, beyond)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("low", "margin", "promote"),
    [(0.01, 0.0, True), (0.0, 0.0, False), (-0.01, 0.0, False), (0.01, 0.01, False), (-0.01, -0.02, True)],
)
def test_the_lower_end_must_exceed_the_margin(low, margin, promote):
    gates = gates_of(champion=lead(low), margin=margin)
    assert promoted(gates) is promote
    (gate,) = gates
    assert (gate.name, gate.subject, gate.value, gate.low) == (NDCG, "champion", low, margin)
    assert gate.outcome == ("passed" if promote else "held")


def test_a_lead_that_is_not_sure_does_not_count():
    gates = gates_of(champion=lead(-0.01, difference=0.05))
    assert (
        "0.2500 against the champion's 0.2000: +0.0500 [-0.0100, +0.1100] does not lie above the margin of 0"
        in gates[0].told
    )


def test_the_first_champion_beats_the_baselines_surely_and_reaches_its_floors():
    gates = gates_of(floors={RECALL: 0.5})  # reaching it is enough
    assert [(gate.name, gate.subject) for gate in gates] == [
        (RECALL, "model"),
        (NDCG, "popularity"),
        (NDCG, "item_knn"),
    ]
    assert promoted(gates)
    assert promoted(gates_of(beat=()))  # a recipe may ask for nothing


def test_baselines_are_no_gates_once_there_is_a_champion():
    assert {gate.subject for gate in gates_of(champion=lead(0.01))} == {"champion"}


def test_a_floor_stops_and_everything_else_only_holds():
    gates = gates_of(champion=lead(-1), floors={RECALL: 0.6}, bounds={"gini@20": {"max": 0.4}})
    assert [gate.outcome for gate in gates] == ["stopped", "held", "held"]
    assert floors(RankingPromotion(metric=NDCG, floors={RECALL: 0.6}), MEANS)[RECALL].passed is False


@pytest.mark.parametrize(
    ("low", "max_drop", "holds"),
    [(-0.02, 0.05, False), (-0.02, 0.1, True), (0.0, 0.0, True), (-0.001, 0, False)],
)
def test_a_guardrail_is_a_share_of_the_champions_mean(low, max_drop, holds):
    """The champion's mean is 0.2: a drop of a tenth is 0.02."""
    guardrail = {"metric": NDCG, "slice": "new_users", "max_drop": max_drop}
    gates = gates_of(champion=lead(0.01), slices=(of_slice("new_users", 100, low),), guardrails=[guardrail])
    assert gates[-1].passed is holds
    assert promoted(gates) is holds
    assert gates[-1].subject == "guardrail new_users"


def test_a_guardrail_over_all_users_reads_the_comparison():
    (_, rail) = gates_of(champion=lead(0.01), guardrails=[{"metric": RECALL, "max_drop": 0.05}])
    assert (rail.value, rail.low, rail.passed) == (-0.02, pytest.approx(-0.01), False)


def test_a_slice_of_few_is_told_and_not_judged():
    guardrail = {"metric": NDCG, "slice": "new_users", "max_drop": 0}
    for users, low in ((99, -1.0), (0, -1.0)):
        gates = gates_of(
            champion=lead(0.01), slices=(of_slice("new_users", users, low),), guardrails=[guardrail]
        )
        assert promoted(gates)
        assert f"{users} users, too few to be judged (need 100)" in gates[-1].told
    assert gates_of(guardrails=[guardrail])[-1].subject == "item_knn"  # nothing to drop from


@pytest.mark.parametrize(
    ("bound", "passed"),
    [({"max": 0.5}, True), ({"max": 0.49}, False), ({"min": 0.5}, True), ({"min": 0.51}, False), ({}, True)],
)
def test_bounds_hold_for_the_first_too(bound, passed):
    assert promoted(gates_of(bounds={"gini@20": bound})) is passed


def test_having_learned_the_test_is_told_and_holds_nothing():
    assert learned(0.01, "test pairs").outcome == "passed"
    assert learned(0.02, "test pairs").outcome == "warned"
    assert learned(None, "test pairs").outcome == "warned"
    assert promoted([learned(1.0, "test pairs")])


def test_the_reason_names_what_failed_or_what_was_beaten():
    passed = gates_of(champion=lead(0.02))
    rule, beaten = RankingPromotion(metric=NDCG, beat=("popularity",)), {"popularity": {NDCG: lead(0.01)}}
    with_champion = {**beaten, "champion": {NDCG: lead(0.02)}}
    assert reason(rule, with_champion, passed) == (
        "ndcg@20 0.2500 against the champion's 0.2000: +0.0500 [+0.0200, +0.0800] lies above the margin of 0"
    )
    assert reason(rule, beaten, gates_of(beat=("popularity",))) == (
        "there is no champion to beat, and no floors were asked for; "
        "ndcg@20 0.2500 against popularity's 0.2000: +0.0500 [+0.0100, +0.0900] lies above 0"
    )
    failed = gates_of(floors={RECALL: 0.6})
    assert reason(rule, beaten, failed) == "recall@20 0.5000 is below the floor of 0.6"
