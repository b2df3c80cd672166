"""Which way a metric is better."""

from typing import Final

LOWER_IS_BETTER: Final = frozenset({"logloss", "mse", "ece"})


def gain(metric: str, value: float) -> float:
    """The value where more is better, minus it where less is: of two gains the larger is better."""
    return -value if metric in LOWER_IS_BETTER else value


def lead(metric: str, ours: float, theirs: float) -> float:
    """By how much our value is better than theirs; below zero where it is worse."""
    return gain(metric, ours) - gain(metric, theirs)
