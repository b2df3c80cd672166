"""What a gate found: the same words for data and for models, wherever it is shown."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from pydantic import Field

from components.core.strategy import Config

Severity = Literal["stop", "warn"]  # what a recipe may ask for
Outcome = Literal["passed", "warned", "held", "stopped"]
_SPOKEN: Final[dict[str, Outcome]] = {"warn": "warned", "hold": "held", "stop": "stopped"}


class Gate(Config):
    """One check with its result.

    Attributes:
        severity: what a failed one does. `stop` ends the run; `hold` keeps the challenger from being
            promoted and lets the run go on; `warn` is only told.
        low, high: the bounds that the value had to keep, both included; None leaves a side open.
        value: what was found; None where the check has no number.
    """

    name: str = Field(description="what is looked at, such as volume or recall@20")
    subject: str = Field(description="of what: a table, a baseline, a slice of the users")
    value: float | None = None
    low: float | None = None
    high: float | None = None
    severity: Severity | Literal["hold"] = "stop"
    passed: bool
    told: str = Field(default="", description="the same in words, for people")

    @property
    def outcome(self) -> Outcome:
        """passed; warned or held, and the run goes on; or stopped."""
        return "passed" if self.passed else _SPOKEN[self.severity]

    def document(self) -> dict[str, Any]:
        """As plain JSON values, with the outcome."""
        return {**self.model_dump(mode="json"), "outcome": self.outcome}


def gates_of(validation: Mapping[str, Any]) -> list[Gate]:
    """The gates that a manifest's `validation` tells of; none where a stage has none."""
    return [
        Gate.model_validate({key: value for key, value in gate.items() if key != "outcome"})
        for gate in validation.get("gates", ())
    ]


def summary_of(gates: Iterable[Gate]) -> dict[str, Any]:
    """How many passed, and which did not: outcome → `subject: name` of each."""
    found = list(gates)
    return {
        "passed": sum(gate.passed for gate in found),
        **{
            outcome: [f"{gate.subject}: {gate.name}" for gate in found if gate.outcome == outcome]
            for outcome in _SPOKEN.values()
        },
    }


def warnings_of(gates: Iterable[Gate]) -> list[str]:
    """One line for each gate that spoke and let the run go on."""
    words = {"warned": "a gate warns", "held": "a gate holds the promotion back"}
    return [
        f"{words[gate.outcome]}: {gate.subject}: {gate.told or gate.name}"
        for gate in gates
        if gate.outcome in words
    ]
