"""Evaluation of a model that ranks."""
