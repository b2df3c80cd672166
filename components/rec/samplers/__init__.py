"""Negative samplers (AutoSample, Table 2). Named in the recipe by `training.sampler.kind`."""
