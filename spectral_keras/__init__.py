"""Convolutional networks in the frequency domain, for Keras 3.

Importing the package registers its layers, initializers, constraints, losses and models with Keras,
so that saved models load.  Its parts, `spectral_keras.layers`, `.models`, `.attacks`, `.analysis`
and so on, are there after `import spectral_keras`.  Nothing here needs TensorFlow.
"""

import importlib
import pathlib
import sys

__version__ = "0.2.0"

_PARTS = (
    "activations",
    "analysis",
    "attacks",
    "augmentation",
    "classifiers",
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
    "plots",
    "precision",
    "regularizers",
    "training",
    "windows",
)
__all__ = ["fold", *_PARTS]

# Each is an extra of this package by the same name.
_BACKENDS = ("tensorflow", "jax", "torch")


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
        backend = (error.name or "").partition(".")[0]
        if backend not in _BACKENDS:
            raise
        raise ModuleNotFoundError(
            f"Keras is set to the backend {backend}, which is not installed: pip install "
            f"'spectral_keras[{backend}]', or choose another one with the environment variable "
            "KERAS_BACKEND (tensorflow, jax or torch)",
            name=backend,
        ) from None
    except ValueError as error:  # Keras' own words for a backend that it does not know
        if not str(error).startswith("Unable to import backend"):
            raise
        raise ValueError(
            f"Keras is set to the backend {str(error).rpartition(' ')[2]}, which it does not have: "
            "choose one with the environment variable KERAS_BACKEND (tensorflow, jax or torch)"
        ) from None
    for part in (
        "layers", "activations", "initializers", "constraints", "regularizers", "windows",
        "training",
    ):  # fmt: skip
        importlib.import_module(f"{__name__}.{part}")


# This library's own commands import Keras inside their `main`, after they have seen to the start-up
# messages of its backend; for everybody else the classes are registered now.
if pathlib.PurePath((getattr(sys, "argv", None) or [""])[0]).stem != "spectral-keras":
    _register()
