"""Classifiers over feature fields. One file each; named in the recipe by `training.model.kind`."""
