"""AMER's experiments: whole models, and searches for parts of them, side by side."""
