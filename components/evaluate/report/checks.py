"""All gates of the run, from the delivery to the decision."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, final

from components.core.gates import Gate
from components.evaluate.report.document import words
from components.evaluate.report.findings import AnyFindings
from components.evaluate.report.wording import Wording

_ORDER: Final = {"stopped": 0, "held": 1, "warned": 2, "passed": 3}
_SEVERITY: Final = {"stop": "stops the run", "hold": "holds the promotion", "warn": "warns"}


@final
@dataclass(frozen=True, kw_only=True)
class Check:
    """One gate for reading. `outcome` is passed, warned, held or stopped."""

    stage: str
    what: str
    told: str
    outcome: str
    severity: str


@final
@dataclass(frozen=True, kw_only=True)
class Checks:
    """The gates: those that spoke, worst first, and by stage those that passed."""

    summary: str
    spoken: Sequence[Check]
    passed: Sequence[tuple[str, Sequence[Check]]]


def checks(findings: AnyFindings) -> Checks:
    """Every gate of the inputs and of the verdict."""
    found = [_check(findings.wording, stage, gate) for stage, gate in findings.gates]
    spoken = sorted((check for check in found if check.outcome != "passed"), key=lambda c: _ORDER[c.outcome])
    passed = [check for check in found if check.outcome == "passed"]
    counts = [
        f"{number} {outcome}"
        for outcome in reversed(_ORDER)
        for number in [sum(check.outcome == outcome for check in found)]
        if number
    ]
    return Checks(
        summary=f"{len(found)} checks, from the delivery to the decision: {', '.join(counts)}.",
        spoken=spoken,
        passed=[(stage, list(group)) for stage, group in groupby(passed, key=lambda check: check.stage)],
    )


def _check(wording: Wording, stage: str, gate: Gate) -> Check:
    return Check(
        stage=stage,
        what=f"{words(gate.subject)}: {wording.named(words(gate.name))}",
        told=wording.named(gate.told),
        outcome=gate.outcome,
        severity=_SEVERITY[gate.severity],
    )
