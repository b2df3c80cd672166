"""What the rules of promotion of all tasks share: gates, and what follows from them."""

from collections.abc import Iterable
from typing import Final, Literal

from components.core.gates import Gate, Severity

LEARNED: Final = "learned"  # name of the gate that looks for the test in the champion's train
LINEAGE: Final = "goes on"  # name of the gate that asks whether a stream goes on from the champion
MAX_LEARNED: Final = 0.01  # more of the test in the champion's train than this makes a comparison unfair


def promoted(gates: Iterable[Gate]) -> bool:
    """Whether no gate has stopped the run or held the promotion back."""
    return all(gate.outcome in ("passed", "warned") for gate in gates)


def objections(gates: Iterable[Gate]) -> str:
    """What the gates say that have stopped the run or held the promotion back; empty where none has."""
    return "; ".join(gate.told for gate in gates if gate.outcome in ("stopped", "held"))


def learned(share: float | None, what: str) -> Gate:
    """The share of the test that the champion has been trained on; None where nobody can tell.

    Args:
        what: the test is made of, such as `test pairs`.
    """
    if share is None:
        told, passed = (
            "nobody can tell what the champion learned of the test: its data is gone, or has other columns",
            False,
        )
    else:
        told = f"the champion has learned {100 * share:.2g} % of the {what}"
        passed = share <= MAX_LEARNED
        if not passed:
            told += ": the comparison favours it"
    return Gate(
        name=LEARNED,
        subject="test",
        value=share,
        high=MAX_LEARNED,
        severity="warn",
        passed=passed,
        told=told,
    )


def within(
    name: str,
    subject: str,
    value: float,
    low: float | None,
    high: float | None,
    severity: Severity | Literal["hold"],
) -> Gate:
    """Whether a value lies between two bounds, both included; None leaves a side open."""
    passed = (low is None or value >= low) and (high is None or value <= high)
    needed = [f"at least {low:g}"] if low is not None else []
    needed += [f"at most {high:g}"] if high is not None else []
    told = f"{name} {value:.4f}" + (f", {'' if passed else 'need '}{' and '.join(needed)}" if needed else "")
    return Gate(
        name=name,
        subject=subject,
        value=value,
        low=low,
        high=high,
        severity=severity,
        passed=passed,
        told=told,
    )


def lies(passed: bool) -> str:
    """… or does not."""
    return "lies" if passed else "does not lie"


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the plural where it needs one."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
