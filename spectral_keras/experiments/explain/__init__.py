"""The explanation command: which frequencies a saved classifier needs."""

import importlib

__all__ = ["ExplainOptions", "explain"]


def __getattr__(name):
    # Not with the package: the options need Keras, which a command imports inside its `main`.
    if name == "ExplainOptions":
        return importlib.import_module(f"{__name__}.options").ExplainOptions
    if name == "explain":
        return importlib.import_module(f"{__name__}.command").explain
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
