"""Search from Python: `spectral_keras.experiments.search.api`."""

from spectral_keras.experiments.search.api import search

__all__ = ["search"]
