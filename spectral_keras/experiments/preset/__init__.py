"""The preset command: from a finished run to a preset with its model card."""

import importlib

__all__ = ["PresetOptions", "check_preset", "make_preset"]


def __getattr__(name):
    # Not with the package: the options need Keras, which a command imports inside its `main`.
    if name == "PresetOptions":
        return importlib.import_module(f"{__name__}.options").PresetOptions
    if name in ("check_preset", "make_preset"):
        return getattr(importlib.import_module(f"{__name__}.command"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
