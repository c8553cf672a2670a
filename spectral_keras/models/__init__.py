"""The zoo: CIFAR-sized networks by name, images in [0, 1] to logits, and presets of them."""

from spectral_keras.models.preset import from_preset, presets
from spectral_keras.models.recipe import Recipe
from spectral_keras.models.registry import build, factory, names, options, recipe

__all__ = [
    "Recipe",
    "build",
    "factory",
    "from_preset",
    "names",
    "options",
    "presets",
    "recipe",
]


def __dir__():
    return __all__
