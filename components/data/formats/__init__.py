"""Readers of raw files. Each yields `RawBatch`es of bounded size and says the line of every row.

A reader is `read(format, path, name, columns) -> Iterator[RawBatch]`: `name` is what messages call the
file, `columns` says which column is which.
"""
