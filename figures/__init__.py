"""The tables and figures of the papers: `python -m figures.NAME --preset smoke|cpu|paper`."""
