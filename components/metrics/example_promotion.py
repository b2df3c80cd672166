"""The rule of promotion of a classifier: gates from what was measured, all of which stands in the verdict."""

from collections.abc import Mapping, Sequence
from typing import Final

from components.core.gates import Gate
from components.core.recipe.classification import ClassificationMetric
from components.core.recipe.example_judgement import ExampleGuardrail, ExampleMetric, ExamplePromotion
from components.core.verdict import ExampleComparison, ExampleOther, ExampleSlice, Limit
from components.metrics.decision import counted, lies, objections, within
from components.metrics.direction import LOWER_IS_BETTER, gain

Comparisons = Mapping[ExampleOther, Mapping[ClassificationMetric, ExampleComparison]]


def judge(
    promotion: ExamplePromotion,
    values: Mapping[str, float],
    comparisons: Comparisons,
    slices: Sequence[ExampleSlice],
) -> list[Gate]:
    """Every check of the rule.

    All must pass, so the chance of promoting a model that is no better is at most that of the one comparison
    on the primary metric, however many guardrails there are.

    Args:
        values: metric → the challenger's over all test examples.
        comparisons: with the champion, if there is one, and with the shares of the classes.
        slices: of which the guardrails choose; they must be among them.
    """
    gates = [
        within(name, "model", values[name], limit.min, limit.max, "stop")
        for name, limit in sorted(promotion.limits.items())
    ]
    metric, champion = promotion.metric, comparisons.get("champion")
    if champion is None:
        gates += [_lead("logloss", other, comparisons[other]["logloss"], 0.0) for other in promotion.beat]
    else:
        gates.append(_lead(metric, "champion", champion[metric], promotion.margin))
        gates += [
            _guardrail(rail, _find(rail, champion, slices), promotion.min_slice_examples)
            for rail in promotion.guardrails
        ]
    gates += [
        within(name, "probabilities", values[name], bound.min, bound.max, "hold")
        for name, bound in sorted(promotion.bounds.items())
    ]
    return gates


def reason(promotion: ExamplePromotion, comparisons: Comparisons, gates: Sequence[Gate]) -> str:
    """The decision in a sentence or two, for people."""
    if failed := objections(gates):
        return failed
    compared = [gate.told for gate in gates if gate.subject in comparisons]
    if "champion" in comparisons:
        return "; ".join(compared)
    passed = (
        f"it keeps {counted(len(promotion.limits), 'limit')}"
        if promotion.limits
        else "no limits were asked for"
    )
    return "; ".join([f"there is no champion to beat, and {passed}", *compared])


def limits(promotion: ExamplePromotion, values: Mapping[str, float]) -> dict[ExampleMetric, Limit]:
    """Every limit with what was found."""
    return {
        name: Limit(
            value=values[name],
            min=limit.min,
            max=limit.max,
            passed=within(name, "model", values[name], limit.min, limit.max, "stop").passed,
        )
        for name, limit in sorted(promotion.limits.items())
    }


_NAMES: Final[Mapping[ExampleOther, str]] = {
    "champion": "the champion's",
    "prior": "the class shares'",
}


def _lead(metric: ClassificationMetric, other: ExampleOther, found: ExampleComparison, margin: float) -> Gate:
    """Whether the whole interval of the lead lies beyond the margin."""
    surely = surest_lead(metric, found.low, found.high)
    passed = surely > margin
    side = "below" if metric in LOWER_IS_BETTER else "above"
    of = f"the margin of {gain(metric, margin) + 0.0:g}" if other == "champion" else "0"
    told = (
        f"{metric} {found.challenger:.4f} against {_NAMES[other]} {found.other:.4f}: "
        f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}] {lies(passed)} {side} {of}"
    )
    return Gate(
        name=metric, subject=other, value=surely, low=margin, severity="hold", passed=passed, told=told
    )


def surest_lead(metric: ClassificationMetric, low: float, high: float) -> float:
    """The lower end of the interval of the lead, from that of challenger − other."""
    return min(gain(metric, low), gain(metric, high))


def _find(
    rail: ExampleGuardrail,
    champion: Mapping[ClassificationMetric, ExampleComparison],
    slices: Sequence[ExampleSlice],
) -> ExampleComparison | ExampleSlice:
    if rail.field is None:
        return champion[rail.metric]
    asked = (rail.field, rail.value, rail.metric)
    return next(found for found in slices if (found.field, found.value, found.metric) == asked)


def _guardrail(rail: ExampleGuardrail, found: ExampleComparison | ExampleSlice, min_examples: int) -> Gate:
    """A slice that is too small, or has no examples of a class, is told and not judged; all examples are
    judged however few they are."""
    who = f"{rail.field} {rail.value}" if rail.field is not None else "all examples"
    subject = f"guardrail {rail.field}: {rail.value}" if rail.field is not None else "guardrail all"
    gate = Gate(name=rail.metric, subject=subject, severity="hold", passed=True)
    if isinstance(found, ExampleSlice) and (found.examples < min_examples or found.difference is None):
        few = f"{counted(found.examples, 'example')}, too few to be judged (need {min_examples}"
        few += ")" if found.examples < min_examples else ", of every class)"
        if not found.examples:
            told = f"{rail.metric} of {who}: there are no such examples; is the value written as in the data?"
            return gate.model_copy(update={"severity": "warn", "passed": False, "told": told})
        return gate.model_copy(update={"told": f"{rail.metric} of {who}: {few}"})
    theirs = found.champion if isinstance(found, ExampleSlice) else found.other
    assert theirs is not None
    assert found.difference is not None
    assert found.low is not None
    assert found.high is not None
    surely, low = surest_lead(rail.metric, found.low, found.high), -rail.max_drop * theirs
    passed = surely >= low
    told = (
        f"{rail.metric} of {who}: {found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}] against the "
        f"champion's {theirs:.4f}, {'' if passed else 'not surely '}within {100 * rail.max_drop:g} %"
    )
    return gate.model_copy(update={"value": surely, "low": low, "passed": passed, "told": told})
