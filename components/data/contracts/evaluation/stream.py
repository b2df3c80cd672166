"""The contract of the evaluation artifact of a stream: that of a classifier."""

from components.data.contracts.evaluation.classification import validate

__all__ = ["validate"]
