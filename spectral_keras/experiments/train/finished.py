"""A finished training whose checkpoints are gone: what its other files say."""

import csv
import io
import pathlib
from typing import Any

from spectral_keras.data.files import read_regular
from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.fit import best_row, check_history
from spectral_keras.experiments.folder import WorkFolder, file_hash, read_json
from spectral_keras.experiments.train.options import TrainOptions

__all__ = ["finished_history", "stopped_early"]


def finished_history(folder: WorkFolder, options: TrainOptions) -> list[dict[str, Any]] | None:
    """The rows of history.csv if training has come to the end of these options, else None.

    A run that was not evaluated, without result.json, may be finished too.

    Raises:
        CommandError: if there is a result, but history.csv is damaged or missing.
    """
    result, path = folder / "result.json", folder / "history.csv"
    if not (folder / "best.keras").exists() or not (result.exists() or path.exists()):
        return None
    rows = _read(path)
    if result.exists() and not _fits(result, path, rows):
        raise CommandError(f"{path} is damaged: it is not that of {result.name}")
    return rows if len(rows) >= options.epochs or stopped_early(rows, options) else None


def stopped_early(rows: list[dict[str, Any]], options: TrainOptions) -> bool:
    """Whether `--early-stopping` ended a training with this history, by Keras' rule."""
    patience = options.early_stopping
    monitored = patience and "val_accuracy" in rows[0]
    return bool(monitored) and len(rows) - best_row(rows)["epoch"] >= patience


def _read(path: pathlib.Path) -> list[dict[str, Any]]:
    try:
        text = read_regular(path, limit=2**28).decode()
        found = csv.DictReader(io.StringIO(text))
        rows = [{name: float(value) for name, value in row.items()} for row in found]
        rows = [row | {"epoch": int(row["epoch"])} for row in rows]
        check_history(rows)
        if not rows:
            raise ValueError("it has no epochs")
    except (
        OSError, csv.Error, OverflowError, ValueError, TypeError, KeyError, AttributeError,
    ) as error:  # fmt: skip
        raise CommandError(f"{path} cannot be read: {error}") from None
    return rows


def _fits(result, path, rows):
    """Whether a result may be of this history: it is, or of fewer epochs."""
    try:
        stored = read_json(result)
        known, epochs = stored.get("history_sha256"), stored.get("epochs")
    except CommandError:  # the evaluation writes it anew
        return True
    return known in (None, file_hash(path)) or (isinstance(epochs, int) and epochs < len(rows))
