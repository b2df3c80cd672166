"""Numbers that must be what others say they are."""

from typing import Final

from components.data.contracts.examination import Fact

TOLERANCE: Final = 1e-9  # of a mean, summed in another order


def near(value: float | None, expected: float | None) -> Fact:
    """That a number is another one; it fails where either is missing."""
    if expected is None:
        return (None, 0, 1)
    return (value, expected - TOLERANCE, expected + TOLERANCE)
