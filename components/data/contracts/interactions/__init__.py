"""The contract of the interactions artifact, by task."""
