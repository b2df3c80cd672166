"""The decision in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from components.core.verdict import AnyVerdict
from components.evaluate.report.findings import AnyFindings


@final
@dataclass(frozen=True)
class Fact:
    """A number that deserves large type."""

    value: str
    name: str
    note: str


def outcome(verdict: AnyVerdict) -> str:
    """promote, keep (the champion) or refuse."""
    if any(gate.outcome == "stopped" for gate in verdict.gates):
        return "refuse"
    return "promote" if verdict.promote else "keep"


def headline(verdict: AnyVerdict) -> str:
    """The decision in a few words; whether a fit model becomes champion is for the recipe's policy."""
    return {
        "refuse": "Not good enough to be registered",
        "keep": "No champion yet" if verdict.champion is None else "The champion stays",
        "promote": f"Fit to be the {'first' if verdict.champion is None else 'next'} champion",
    }[outcome(verdict)]


def reasons(findings: AnyFindings) -> Sequence[str]:
    """The verdict's reason, set for reading."""
    return findings.wording.named(findings.verdict.reason).split("; ")
