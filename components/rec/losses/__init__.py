"""Losses, one value per positive, unreduced. Named in the recipe by `training.loss.kind`."""
