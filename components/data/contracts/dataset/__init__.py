"""The contract of the dataset artifact, by task."""
