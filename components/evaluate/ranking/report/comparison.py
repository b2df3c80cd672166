"""How sure the differences are: against the other models, in slices, and beyond accuracy."""

from collections.abc import Iterator, Mapping
from typing import Final

from components.core.recipe.judgement import Range
from components.core.recipe.ranking_judgement import Guardrail
from components.core.verdict import Comparison, Other, SliceResult
from components.evaluate.ranking.report.findings import Findings
from components.evaluate.ranking.report.wording import metric_name, metric_order
from components.evaluate.report.axes import number
from components.evaluate.report.document import Table
from components.evaluate.report.forest import Forest, Interval, forest
from components.evaluate.report.wording import allowed, or_dash, signed

OTHERS: Final[Mapping[Other, str]] = {
    "champion": "the champion",
    "popularity": "popularity",
    "item_knn": "item-kNN",
}
SLICES: Final = {
    "all": "all users",
    "new_users": "new users",
    "light_users": "light users",
    "heavy_users": "heavy users",
    "tail_items": "tail items",
}
_WHO: Final = {
    "new_users": "whom the champion does not know",
    "light_users": "the quarter with the fewest interactions in train, with all that have as many",
    "heavy_users": "the quarter with the most",
    "tail_items": "users with a relevant item outside the popular head; only those items count",
}


def forests(findings: Findings) -> Iterator[Forest]:
    """The deciding metric against every model; slices; all metrics against the model that matters most."""
    verdict, metric = findings.verdict, findings.metric
    confidence = f"{100 * verdict.confidence:g} %"
    yield forest(
        f"{metric_name(metric)}: lead over the others",
        "difference",
        [
            _interval(f"against {OTHERS[other]}", found[metric], 1.0, limit=_needed(findings, other))
            for other, found in verdict.comparisons.items()
        ],
        note=f"Over {verdict.num_users:,} users, {confidence} intervals. Dashed: what they must exceed.",
    )
    rails = {(rail.metric, rail.slice): rail for rail in _guardrails(findings)}
    rows = [
        _interval(
            f"{metric_name(found.metric)}, {SLICES[found.slice]} ({found.users:,})",
            found,
            100 / found.champion,
            limit=_limit(rails.get((found.metric, found.slice))),
            percent=True,
        )
        for found in verdict.slices
        if found.champion
    ]
    if rows:
        yield forest(
            "Slices against the champion", "difference in % of the champion's mean in the slice", rows
        )
    other: Other = "champion" if verdict.rule == "champion" else "item_knn"
    rows = [
        _interval(
            metric_name(name), found, 100 / found.other, limit=_limit(rails.get((name, "all"))), percent=True
        )
        for name, found in sorted(
            verdict.comparisons[other].items(), key=lambda entry: metric_order(entry[0])
        )
        if found.other > 0
    ]
    if rows:
        yield forest(
            f"All metrics against {OTHERS[other]}",
            f"difference in % of {OTHERS[other]}'s mean",
            rows,
            note="A dashed line is a guardrail: the interval must not begin below it." if rails else "",
        )


def slice_table(findings: Findings) -> Table:
    """Every slice with its users and means."""
    verdict = findings.verdict
    compared = verdict.rule == "champion"
    head = ["slice", "metric", "users", "challenger", *(["champion"] if compared else [])]
    rows = [
        [
            SLICES[found.slice],
            metric_name(found.metric),
            number(found.users),
            or_dash(found.challenger),
            *([or_dash(found.champion)] if compared else []),
        ]
        for found in verdict.slices
    ]
    return Table(caption="Slices of the test users", header=head, rows=rows)


def slice_notes(findings: Findings) -> list[tuple[str, str]]:
    """Who is in the slices that were measured."""
    names = dict.fromkeys(found.slice for found in findings.verdict.slices)
    return [(SLICES[name], _WHO[name]) for name in names]


def beyond_accuracy_table(findings: Findings) -> Table:
    """Coverage, Gini and popularity of every model's lists."""
    verdict, bounds = findings.verdict, findings.params.promotion.bounds
    compared = verdict.rule == "champion"
    head = ["measure", "challenger", *(["champion"] if compared else []), "popularity", "item-kNN"]
    rows = []
    for name, found in verdict.beyond_accuracy.items():
        others = [found.champion] if compared else []
        values = [found.challenger, *others, found.popularity, found.item_knn]
        bound = bounds.get(name, Range())
        told = [allowed(bound.min, bound.max)] if bounds else []
        rows.append([metric_name(name), *(or_dash(value, 3) for value in values), *told])
    return Table(caption="Beyond accuracy", header=[*head, *(["bounds"] if bounds else [])], rows=rows)


def sampled_table(findings: Findings) -> Table | None:
    """Means among sampled items, where the recipe asks for them."""
    config = findings.params.evaluation.sampled
    if config is None:
        return None
    models = findings.sampled
    rows = [
        [metric_name(name), *(or_dash(found[name]) for found in models.values())]
        for name in sorted(models["challenger"], key=metric_order)
    ]
    return Table(caption=f"Among {config.negatives} sampled items", header=["metric", *models], rows=rows)


def _guardrails(findings: Findings) -> tuple[Guardrail, ...]:
    return findings.params.promotion.guardrails if findings.verdict.rule == "champion" else ()


def _needed(findings: Findings, other: Other) -> float | None:
    """What the lower end must exceed."""
    promotion = findings.params.promotion
    if findings.verdict.rule == "champion":
        return promotion.margin if other == "champion" else None
    return 0.0 if other in promotion.beat else None


def _limit(rail: Guardrail | None) -> float | None:
    return None if rail is None else -100 * rail.max_drop


def _interval(
    label: str, found: Comparison | SliceResult, scale: float, *, limit: float | None, percent: bool = False
) -> Interval:
    assert found.difference is not None
    assert found.low is not None
    assert found.high is not None
    ends = [scale * value for value in (found.low, found.difference, found.high)]
    shown = [signed(value, 1 if percent else 4) for value in ends]
    unit = " %" if percent else ""
    return Interval(
        label=label,
        low=ends[0],
        at=ends[1],
        high=ends[2],
        limit=limit,
        shown=f"{shown[1]}{unit}",
        range=f"{shown[0]} to {shown[2]}",
    )
