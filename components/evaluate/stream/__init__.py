"""The evaluation of a model that follows a stream."""
