"""Convolutional networks in the frequency domain, for Keras 3.

Importing the package registers its layers, initializers, constraints, losses and models with Keras,
so that saved models load.  Its parts, `spectral_keras.layers`, `.models`, `.attacks`, `.analysis`
and so on, are there after `import spectral_keras`.  Nothing here needs TensorFlow.
"""

import importlib
import pathlib
import sys

__version__ = "0.1.0"

_PARTS = (
    "analysis",
    "attacks",
    "augmentation",
    "constraints",
    "corruptions",
    "data",
    "evaluation",
    "experiments",
    "export",
    "initializers",
    "layers",
    "memory",
    "models",
    "ops",
    "precision",
    "training",
)
__all__ = ["fold", *_PARTS]

_EXTRAS = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}


def __getattr__(name):
    if name == "fold":
        from spectral_keras.folding import fold

        return fold
    if name in _PARTS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return [*__all__, "__version__"]


def _register():
    """Import what is registered with Keras; one line if its backend is not installed."""
    try:
        importlib.import_module("keras")
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        raise ModuleNotFoundError(
            f"Keras is set to the backend {error.name!r}, which is not installed: "
            f"pip install 'spectral_keras[{_EXTRAS[error.name]}]', or choose another backend with "
            "the environment variable KERAS_BACKEND (tensorflow, jax or torch)",
            name=error.name,
        ) from None
    for part in ("layers", "initializers", "constraints", "training"):
        importlib.import_module(f"{__name__}.{part}")


# This library's own commands import Keras inside their `main`, after they have seen to the start-up
# messages of its backend; for everybody else the classes are registered now.
if pathlib.PurePath((getattr(sys, "argv", None) or [""])[0]).stem != "spectral-keras":
    _register()
