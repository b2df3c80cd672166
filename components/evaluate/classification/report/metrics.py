"""What the decision rests on: metrics, and how they come about."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

from components.core.recipe.example_judgement import ExampleMetric
from components.evaluate.classification.report.findings import Findings
from components.evaluate.classification.report.wording import metric_name
from components.evaluate.report.axes import number
from components.evaluate.report.decision import Fact
from components.evaluate.report.document import Table
from components.evaluate.report.wording import allowed, signed
from components.metrics.classification import auc
from components.metrics.direction import lead

MEANINGS: Final = {
    "auc": "chance that an example of a class scores above one of another",
    "logloss": "−ln of the probability of what happened; less is better",
    "accuracy": "share of examples whose most probable class is theirs",
    "mse": "mean square of probability − what happened; less is better",
    "ece": "how far probabilities are from what happens; less is better",
    "calibration": "Σ predicted / Σ observed; 1 is best",
}


@final
@dataclass(frozen=True, kw_only=True)
class MetricRow:
    """One metric. `difference` is challenger − champion, and `tone` whether that is good (up) or not (down).
    `allowed` is what the recipe allows, and `passed` whether it is kept."""

    name: str
    meaning: str
    decides: bool
    challenger: float
    champion: float | None
    difference: float | None
    tone: str
    prior: float
    allowed: str
    passed: bool


def facts(findings: Findings) -> Iterator[Fact]:
    """What to look at first."""
    verdict, metric = findings.verdict, findings.metric
    yield Fact(f"{verdict.challenger:.4f}", metric_name(metric), "the challenger's")
    if verdict.champion is not None:
        version = verdict.champion_version
        named = f"the champion, version {version}" if version else "the other model"
        ahead = lead(metric, verdict.challenger, verdict.champion)
        relative = f"{signed(100 * ahead / verdict.champion, 1)} % on " if verdict.champion else "on "
        yield Fact(signed(ahead), "lead", f"{relative}{named}")
    prior = verdict.metrics["logloss"].prior
    spared = 1 - verdict.metrics["logloss"].challenger / prior
    yield Fact(f"{signed(-100 * spared, 1)} %", "log loss", f"against the {prior:.4f} of the class shares")
    calibrated: ExampleMetric = "calibration" if "calibration" in verdict.metrics else "ece"
    found = verdict.metrics[calibrated]
    yield Fact(f"{found.challenger:.3f}", metric_name(calibrated), MEANINGS[calibrated])
    yield Fact(f"{verdict.num_examples:,}", "test examples", f"of {len(verdict.classes)} classes")


def metric_rows(findings: Findings) -> list[MetricRow]:
    """All metrics, that which decides first."""
    verdict = findings.verdict
    rows = []
    for name, found in verdict.metrics.items():
        better = None if found.champion is None else _lead(name, found.challenger, found.champion)
        told, passed = _allowed(findings, name)
        rows.append(
            MetricRow(
                name=metric_name(name),
                meaning=MEANINGS[name],
                decides=name == findings.metric,
                challenger=found.challenger,
                champion=found.champion,
                difference=None if found.champion is None else found.challenger - found.champion,
                tone="" if not better else "up" if better > 0 else "down",
                prior=found.prior,
                allowed=told,
                passed=passed,
            )
        )
    return rows


def class_table(findings: Findings) -> Table:
    """How often each class comes, how probable it is said to be, and, of several, how well it stands out."""
    exam, probabilities = findings.grades.exam, findings.grades.probabilities
    judged = {
        f"{name}’s AUC": probability_NC
        for name, probability_NC in probabilities.items()
        if name != "prior" and len(exam.classes) > 2
    }
    rows = []
    for place, name in enumerate(exam.classes):
        is_one_N = exam.label_N == place
        shares = (exam.prior_C[place], is_one_N.mean(), probabilities["challenger"][:, place].mean())
        told = (f"{100 * share:.2f} %" for share in shares)
        areas = (f"{auc(probability_NC[:, place], is_one_N):.4f}" for probability_NC in judged.values())
        rows.append((name, number(int(is_one_N.sum())), *told, *areas))
    head = ("class", "test examples", "in train", "in test", "predicted", *judged)
    return Table(caption="Classes", header=head, rows=rows)


def _lead(name: str, ours: float, theirs: float) -> float:
    """Above 0 where ours is better; calibration is best at 1."""
    return abs(theirs - 1) - abs(ours - 1) if name == "calibration" else lead(name, ours, theirs)


def _allowed(findings: Findings, name: str) -> tuple[str, bool]:
    """What limit and bound allow, and whether both are kept."""
    promotion = findings.params.promotion
    asked = [ranges[name] for ranges in (promotion.limits, promotion.bounds) if name in ranges]
    gates = [gate for gate in findings.verdict.gates if gate.subject in {"model", "probabilities"}]
    passed = all(gate.passed for gate in gates if gate.name == name)
    return "; ".join(allowed(found.min, found.max) for found in asked), passed
