"""A stream's interactions are labelled examples: fields user and item, and a timestamp."""

from components.ingest.classification import run

__all__ = ["run"]
