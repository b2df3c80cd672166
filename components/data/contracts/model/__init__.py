"""The contract of the model artifact, by task."""
