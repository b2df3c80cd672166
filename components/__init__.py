"""recloop: the loop that keeps a recommender fresh."""

__version__ = "0.1.0"
