"""Commands: train, evaluate, explain, corrupt, search.  The only part that prints and plots."""

import importlib
from collections.abc import Callable
from typing import Any


def at_first_use(package: str, **modules: str) -> Callable[[str], Any]:
    """The `__getattr__` of a package whose names are in these modules of it, name=module.

    They are not imported with the package: options need Keras, which a command imports inside its
    `main`.
    """

    def find(name):
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{modules[name]}"), name)

    return find
