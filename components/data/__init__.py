"""Formats, contracts, k-core, splits and the one way to write Parquet."""
