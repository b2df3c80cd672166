"""Recommendation models. One file each; named in the recipe by `training.model.kind`."""
