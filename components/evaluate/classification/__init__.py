"""Evaluation of a model that classifies."""
