"""Search from Python: `spectral_keras.experiments.search.api`."""

from spectral_keras.experiments.search.api import Training, search

__all__ = ["Training", "search"]
