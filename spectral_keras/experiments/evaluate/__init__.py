"""The evaluation command: accuracy of a saved classifier under attack and corruption."""

import importlib

__all__ = ["EvaluateOptions", "evaluate"]


def __getattr__(name):
    # Not with the package: the options need Keras, which a command imports inside its `main`.
    if name == "EvaluateOptions":
        return importlib.import_module(f"{__name__}.options").EvaluateOptions
    if name == "evaluate":
        return importlib.import_module(f"{__name__}.command").evaluate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
