"""AMER: architectures by one-shot search (Zhao et al. 2020)."""
