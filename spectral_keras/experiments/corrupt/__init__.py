"""The corruption command: a corrupted copy of a data set."""
