"""How sure the leads are: against the other models, and in slices."""

from collections.abc import Iterator

from components.core.recipe.example_judgement import ExampleGuardrail
from components.core.verdict import ExampleComparison, ExampleOther, ExampleSlice
from components.evaluate.classification.report.findings import Findings
from components.evaluate.classification.report.wording import OTHERS, metric_name
from components.evaluate.report.forest import Forest, Interval, forest
from components.evaluate.report.wording import signed
from components.metrics.direction import gain


def forests(findings: Findings) -> Iterator[Forest]:
    """The deciding metric against every model; both metrics against the one that matters; guardrails."""
    verdict, metric = findings.verdict, findings.metric
    compared = verdict.rule == "champion"
    yield forest(
        f"{metric_name(metric)}: lead over the others",
        "lead",
        [
            _interval(f"over {OTHERS[other]}", metric, found[metric], 1.0, limit=_needed(findings, other))
            for other, found in verdict.comparisons.items()
        ],
        note=f"Over {verdict.num_examples:,} examples, {100 * verdict.confidence:g} % intervals."
        + (" Dashed: what must be exceeded." if compared else ""),
    )
    other: ExampleOther = "champion" if compared else "prior"
    rails = {rail.metric: rail for rail in _guardrails(findings) if rail.field is None}
    must_beat = not compared and "prior" in findings.params.promotion.beat
    yield forest(
        f"Both metrics against {OTHERS[other]}",
        "lead in %",
        [
            _interval(
                metric_name(name),
                name,
                found,
                100 / found.other,
                limit=0.0 if must_beat and name == "logloss" else _limit(rails.get(name)),
                percent=True,
            )
            for name, found in verdict.comparisons[other].items()
            if found.other > 0
        ],
        note="A lead in log loss is a lower one."
        + (" Dashed: guardrails, which no interval may begin below." if rails else "")
        + (" Dashed: what must be exceeded." if must_beat else ""),
    )
    rows = list(_guarded(findings))
    if rows:
        judged = any(row.limit is not None for row in rows)
        note = "Dashed: the guardrail." if judged else ""
        yield forest("Guardrails over slices", "lead in %", rows, note=note)


def _guarded(findings: Findings) -> Iterator[Interval]:
    slices = {(found.field, found.value, found.metric): found for found in findings.verdict.slices}
    for rail in _guardrails(findings):
        if rail.field is not None and rail.value is not None:
            found = slices[rail.field, rail.value, rail.metric]
            if found.difference is not None and found.champion:
                is_judged = found.examples >= findings.params.promotion.min_slice_examples
                count = f"{found.examples:,}{'' if is_judged else ', not judged'}"
                label = f"{metric_name(rail.metric)}, {rail.field} {rail.value} ({count})"
                limit, scale = _limit(rail) if is_judged else None, 100 / found.champion
                yield _interval(label, rail.metric, found, scale, limit=limit, percent=True)


def _guardrails(findings: Findings) -> tuple[ExampleGuardrail, ...]:
    return findings.params.promotion.guardrails if findings.verdict.rule == "champion" else ()


def _needed(findings: Findings, other: ExampleOther) -> float | None:
    """What the lower end must exceed."""
    promotion = findings.params.promotion
    if findings.verdict.rule == "champion":
        return promotion.margin if other == "champion" else None
    return 0.0 if findings.metric == "logloss" and other in promotion.beat else None


def _limit(rail: ExampleGuardrail | None) -> float | None:
    return None if rail is None else -100 * rail.max_drop


def _interval(
    label: str,
    metric: str,
    found: ExampleComparison | ExampleSlice,
    scale: float,
    *,
    limit: float | None,
    percent: bool = False,
) -> Interval:
    """The interval of the lead: of a metric that is better where it is lower, turned around."""
    assert found.difference is not None
    assert found.low is not None
    assert found.high is not None
    low, at, high = sorted(scale * gain(metric, end) for end in (found.low, found.difference, found.high))
    shown = [signed(end, 1 if percent else 4) for end in (low, at, high)]
    return Interval(
        label=label,
        low=low,
        at=at,
        high=high,
        limit=limit,
        shown=f"{shown[1]}{' %' if percent else ''}",
        range=f"{shown[0]} to {shown[2]}",
    )
