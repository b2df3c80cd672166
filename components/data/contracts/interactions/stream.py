"""The contract of the interactions artifact of a stream: that of labelled examples."""

from components.data.contracts.interactions.classification import validate

__all__ = ["validate"]
