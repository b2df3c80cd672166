"""Studies of embedding sizes, found while a stream goes by."""
