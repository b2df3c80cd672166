"""Readers of raw files. Each yields `RawBatch`es of bounded size and says the line of every row.

A reader is `read(format, path, name, wanted) -> Iterator[RawBatch]`: `name` is what messages call the
file, `wanted` says for each name in the table which column it is.
"""
