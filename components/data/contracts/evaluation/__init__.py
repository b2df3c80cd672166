"""The contract of the evaluation artifact, by task."""
