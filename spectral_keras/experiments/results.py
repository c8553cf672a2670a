"""result.json: what a finished training was worth, by one schema for all commands."""

import os
from typing import Any

from spectral_keras.experiments.folder import write_json
from spectral_keras.experiments.provenance import commit, conditions

__all__ = ["write_result"]

# What every result has; a command may add more.
_REQUIRED = (
    "dataset", "test_accuracy", "test_loss", "validation_accuracy", "best_epoch", "epochs",
    "parameters", "images", "seconds", "precision", "seed", "command",
)  # fmt: skip


def write_result(
    path: str | os.PathLike, result: dict[str, Any], evaluations: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Write result.json with where it comes from; returns its content.

    Args:
        path: the file.
        result: JSON-plain dict, with what every result has.
        evaluations: what other commands have added to it before.

    Raises:
        KeyError: if something of it is missing.
        CommandError: if a number is not finite.
    """
    for name in _REQUIRED:
        result[name]  # noqa: B018 (a KeyError names it)
    result = result | conditions() | {"commit": commit()}
    write_json(path, result | (evaluations or {}))
    return result
