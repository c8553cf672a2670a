"""The corruption command: a corrupted copy of a data set."""

import importlib

__all__ = ["CorruptOptions", "corrupt"]


def __getattr__(name):
    # Not with the package: the options need Keras, which a command imports inside its `main`.
    if name == "CorruptOptions":
        return importlib.import_module(f"{__name__}.options").CorruptOptions
    if name == "corrupt":
        return importlib.import_module(f"{__name__}.command").corrupt
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
