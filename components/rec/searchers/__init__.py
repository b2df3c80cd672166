"""Searchers: what a recipe's `search.kind` runs."""
