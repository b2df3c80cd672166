"""Losses, one value per positive or example, unreduced. Named in the recipe by `training.loss.kind`."""
