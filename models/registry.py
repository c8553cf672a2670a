"""The zoo by name: `spectral_keras.models`."""

from spectral_keras.models import build, factory, names, options, recipe

__all__ = ["build", "factory", "names", "options", "recipe"]
