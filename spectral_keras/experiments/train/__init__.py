"""The training command: options, devices, a run and its files."""

import importlib

__all__ = ["TrainOptions", "train"]


def __getattr__(name):
    # Not with the package: the options need Keras, which a command imports inside its `main`.
    if name == "TrainOptions":
        return importlib.import_module(f"{__name__}.options").TrainOptions
    if name == "train":
        return importlib.import_module(f"{__name__}.command").train
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
