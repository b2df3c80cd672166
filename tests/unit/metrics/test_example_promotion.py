"""The rule of promotion of classifiers, on numbers that can be worked out by hand."""

from typing import Any

import pytest

from components.core.gates import Gate
from components.core.recipe.example_judgement import ExamplePromotion
from components.core.verdict import ExampleComparison, ExampleSlice
from components.metrics.decision import promoted
from components.metrics.example_promotion import judge, limits, reason

VALUES = {"auc": 0.75, "logloss": 0.5, "ece": 0.02, "calibration": 1.1}


def lead(low: float, high: float, *, other: float = 0.5) -> ExampleComparison:
    middle = (low + high) / 2
    return ExampleComparison(
        challenger=other + middle, other=other, difference=middle, low=low, high=high, p_value=0.1
    )


def of_slice(metric: str, examples: int, low: float | None, high: float | None = None) -> ExampleSlice:
    return ExampleSlice(
        field="device",
        value="phone",
        examples=examples,
        metric=metric,  # type: ignore[arg-type]
        challenger=0.5,
        champion=0.5,
        difference=None if low is None else (low + (high or 0)) / 2,
        low=low,
        high=high,
    )


PRIOR = {"auc": lead(0.2, 0.3), "logloss": lead(-0.1, -0.05)}


def gates_of(
    *,
    auc: ExampleComparison | None = None,
    logloss: ExampleComparison | None = None,
    prior: dict[str, ExampleComparison] = PRIOR,
    slices: tuple[ExampleSlice, ...] = (),
    **rule: Any,
) -> list[Gate]:
    comparisons: dict[Any, Any] = {"prior": prior}
    if auc or logloss:
        comparisons["champion"] = {"auc": auc, "logloss": logloss}
    return judge(ExamplePromotion(**rule), VALUES, comparisons, slices)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("low", "margin", "promote"),
    [(0.01, 0.0, True), (0.0, 0.0, False), (-0.01, 0.0, False), (0.01, 0.01, False), (-0.01, -0.02, True)],
)
def test_the_lower_end_of_an_auc_must_exceed_the_margin(low, margin, promote):
    (gate,) = gates_of(auc=lead(low, 0.1), margin=margin)
    assert (gate.name, gate.subject, gate.value, gate.low) == ("auc", "champion", low, margin)
    assert gate.outcome == ("passed" if promote else "held")


@pytest.mark.parametrize(
    ("high", "margin", "promote"),
    [(-0.01, 0.0, True), (0.0, 0.0, False), (0.01, 0.0, False), (-0.01, 0.01, False), (0.01, -0.02, True)],
)
def test_of_log_loss_less_is_better(high, margin, promote):
    (gate,) = gates_of(logloss=lead(-0.1, high), metric="logloss", margin=margin)
    assert (gate.name, gate.value, gate.low) == ("logloss", -high, margin)
    assert promoted([gate]) is promote


def test_what_is_told_names_the_side_on_which_a_lead_lies():
    (gate,) = gates_of(auc=lead(-0.01, 0.05))
    told = "auc 0.5200 against the champion's 0.5000: +0.0200 [-0.0100, +0.0500]"
    assert gate.told == f"{told} does not lie above the margin of 0"
    (gate,) = gates_of(logloss=lead(-0.05, -0.03), metric="logloss", margin=0.01)
    told = "logloss 0.4600 against the champion's 0.5000: -0.0400 [-0.0500, -0.0300]"
    assert gate.told == f"{told} lies below the margin of -0.01"


def test_the_first_champion_beats_the_class_shares_by_log_loss():
    (gate,) = gates_of()
    assert (gate.name, gate.subject, gate.value, gate.outcome) == ("logloss", "prior", 0.05, "passed")
    (gate,) = gates_of(prior={"auc": lead(0.2, 0.3), "logloss": lead(-0.1, 0.01)})
    assert gate.outcome == "held"
    assert gates_of(beat=()) == []  # a recipe may ask for nothing
    assert {gate.subject for gate in gates_of(auc=lead(0.01, 0.1))} == {"champion"}


@pytest.mark.parametrize(
    ("limit", "outcome"),
    [({"min": 0.75}, "passed"), ({"min": 0.76}, "stopped"), ({"max": 0.75}, "passed"), ({}, "passed")],
)
def test_a_limit_stops_and_a_bound_holds(limit, outcome):
    gate, _ = gates_of(limits={"auc": limit})
    assert (gate.name, gate.subject, gate.outcome) == ("auc", "model", outcome)
    assert limits(ExamplePromotion(limits={"auc": limit}), VALUES)["auc"].passed == (outcome == "passed")
    *_, gate = gates_of(bounds={"calibration": {"min": 0.9, "max": 1.05}})
    assert (gate.outcome, gate.told) == ("held", "calibration 1.1000, need at least 0.9 and at most 1.05")


@pytest.mark.parametrize(
    ("metric", "low", "high", "max_drop", "holds"),
    [
        ("auc", -0.02, 0.1, 0.03, False),  # the champion's is 0.5: 3 % of it are 0.015
        ("auc", -0.02, 0.1, 0.04, True),
        ("auc", 0.0, 0.1, 0.0, True),
        ("logloss", -0.1, 0.02, 0.03, False),  # a rise is a drop
        ("logloss", -0.1, 0.02, 0.04, True),
        ("logloss", -0.3, -0.1, 0.0, True),
    ],
)
def test_a_guardrail_is_a_share_of_the_champions_value(metric, low, high, max_drop, holds):
    sides = {"auc": lead(0.01, 0.1), "logloss": lead(-0.1, -0.01), metric: lead(low, high)}
    rail = {"metric": metric, "max_drop": max_drop}
    gate = gates_of(**sides, guardrails=[rail])[-1]
    assert (gate.subject, gate.passed) == ("guardrail all", holds)
    rail |= {"field": "device", "value": "phone"}
    slices = (of_slice("auc", 99, 0.0, 0.1), of_slice(metric, 100, low, high))
    gate = gates_of(auc=lead(0.01, 0.1), logloss=lead(-0.1, 0), slices=slices[-1:], guardrails=[rail])[-1]
    assert (gate.subject, gate.passed) == ("guardrail device: phone", holds)
    assert gate.told.startswith(f"{metric} of device phone: ")


def test_a_slice_of_few_or_of_one_class_is_told_and_not_judged():
    rail = {"metric": "auc", "field": "device", "value": "phone", "max_drop": 0}
    *_, gate = gates_of(auc=lead(0.01, 0.1), slices=(of_slice("auc", 99, -1, 1),), guardrails=[rail])
    assert gate.outcome == "passed"
    assert gate.told == "auc of device phone: 99 examples, too few to be judged (need 100)"
    *_, gate = gates_of(auc=lead(0.01, 0.1), slices=(of_slice("auc", 500, None),), guardrails=[rail])
    assert gate.told == "auc of device phone: 500 examples, too few to be judged (need 100, of every class)"


def test_the_reason_names_what_failed_or_what_was_beaten():
    rule, beaten = ExamplePromotion(), {"prior": PRIOR}
    told = "logloss 0.4250 against the class shares' 0.5000: -0.0750 [-0.1000, -0.0500] lies below 0"
    assert reason(rule, beaten, gates_of()) == (
        f"there is no champion to beat, and no limits were asked for; {told}"
    )
    rule = ExamplePromotion(limits={"auc": {"min": 0.7}})
    assert reason(rule, beaten, gates_of(limits={"auc": {"min": 0.7}})) == (
        f"there is no champion to beat, and it keeps 1 limit; {told}"
    )
    failed = gates_of(limits={"auc": {"min": 0.8}})
    assert reason(rule, beaten, failed) == "auc 0.7500, need at least 0.8"
    champion = {**beaten, "champion": {"auc": lead(0.01, 0.1)}}
    assert reason(rule, champion, gates_of(auc=lead(0.01, 0.1))).endswith("lies above the margin of 0")
