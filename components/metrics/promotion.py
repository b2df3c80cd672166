"""The rule of promotion: gates from what was measured, all of which stands in the verdict."""

from collections.abc import Mapping, Sequence
from typing import Final

from components.core.gates import Gate
from components.core.recipe.ranking_judgement import BaselineName, RankingPromotion
from components.core.verdict import BeyondAccuracy, Comparison, Floor, Other, SliceResult
from components.metrics.decision import counted, lies, objections, within


def judge(
    promotion: RankingPromotion,
    means: Mapping[str, float],
    comparisons: Mapping[Other, Mapping[str, Comparison]],
    slices: Sequence[SliceResult],
    beyond: Mapping[str, BeyondAccuracy],
) -> list[Gate]:
    """Every check of the rule.

    All must pass, so the chance of promoting a model that is no better is at most that of the one comparison
    on the primary metric, however many guardrails there are.

    Args:
        means: metric → mean over the test users.
        comparisons: with the champion, if there is one, and with the baselines.
        slices: of which the guardrails choose.
        beyond: measure → value of every model.
    """
    gates = [_floor(name, means[name], floor) for name, floor in sorted(promotion.floors.items())]
    metric, champion = promotion.metric, comparisons.get("champion")
    if champion is None:
        gates += [_beat(metric, name, comparisons[name][metric]) for name in promotion.beat]
    else:
        gates.append(_champion(metric, champion[metric], promotion.margin))
        gates += [
            _guardrail(found, guardrail.max_drop, promotion.min_slice_users)
            for guardrail in promotion.guardrails
            for found in [_find(guardrail.metric, guardrail.slice, champion, slices)]
        ]
    for name, bound in sorted(promotion.bounds.items()):
        value = beyond[name].challenger
        gates.append(within(name, "recommendations", value, bound.min, bound.max, "hold"))
    return gates


def reason(
    promotion: RankingPromotion, comparisons: Mapping[Other, Mapping[str, Comparison]], gates: Sequence[Gate]
) -> str:
    """The decision in a sentence or two, for people."""
    if failed := objections(gates):
        return failed
    compared = [gate.told for gate in gates if gate.subject in comparisons]
    if "champion" in comparisons:
        return "; ".join(compared)
    passed = (
        f"it passes {counted(len(promotion.floors), 'floor')}"
        if promotion.floors
        else "no floors were asked for"
    )
    return "; ".join([f"there is no champion to beat, and {passed}", *compared])


def floors(promotion: RankingPromotion, means: Mapping[str, float]) -> dict[str, Floor]:
    """Every floor with what was reached."""
    return {
        name: Floor(value=means[name], floor=floor, passed=means[name] >= floor)
        for name, floor in sorted(promotion.floors.items())
    }


_NAMES: Final[Mapping[Other, str]] = {
    "champion": "the champion",
    "popularity": "popularity",
    "item_knn": "item-kNN",
}


def _floor(metric: str, value: float, floor: float) -> Gate:
    passed = value >= floor
    told = f"{metric} {value:.4f} is {'at least' if passed else 'below'} the floor of {floor:g}"
    return Gate(name=metric, subject="model", value=value, low=floor, passed=passed, told=told)


def _champion(metric: str, found: Comparison, margin: float) -> Gate:
    passed = found.low > margin
    told = f"{_lead(metric, found, 'the champion')} {lies(passed)} above the margin of {margin:g}"
    return Gate(
        name=metric,
        subject="champion",
        value=found.low,
        low=margin,
        severity="hold",
        passed=passed,
        told=told,
    )


def _beat(metric: str, name: BaselineName, found: Comparison) -> Gate:
    passed = found.low > 0
    told = f"{_lead(metric, found, _NAMES[name])} {lies(passed)} above 0"
    return Gate(name=metric, subject=name, value=found.low, low=0, severity="hold", passed=passed, told=told)


def _lead(metric: str, found: Comparison, other: str) -> str:
    return (
        f"{metric} {found.challenger:.4f} against {other}'s {found.other:.4f}: "
        f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
    )


def _find(
    metric: str, name: str, champion: Mapping[str, Comparison], slices: Sequence[SliceResult]
) -> SliceResult:
    if name != "all":
        return next(found for found in slices if (found.slice, found.metric) == (name, metric))
    found = champion[metric]
    return SliceResult(
        slice="all",
        metric=metric,
        users=found.better + found.equal + found.worse,
        challenger=found.challenger,
        champion=found.other,
        difference=found.difference,
        low=found.low,
        high=found.high,
    )


def _guardrail(found: SliceResult, max_drop: float, min_users: int) -> Gate:
    """A slice that is too small is told and not judged; all users are judged however few they are."""
    who = found.slice.replace("_", " ") if found.slice != "all" else "all users"
    gate = Gate(name=found.metric, subject=f"guardrail {found.slice}", severity="hold", passed=True)
    if found.slice != "all" and found.users < min_users:
        few = f"{counted(found.users, 'user')}, too few to be judged (need {min_users})"
        return gate.model_copy(update={"told": f"{found.metric} of {who}: {few}"})
    assert found.champion is not None
    assert found.low is not None
    low = -max_drop * found.champion
    passed = found.low >= low
    told = (
        f"{found.metric} of {who}: {found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}] against the "
        f"champion's {found.champion:.4f}, {'' if passed else 'not surely '}within {100 * max_drop:g} %"
    )
    return gate.model_copy(update={"value": found.low, "low": low, "passed": passed, "told": told})
