"""result.json: what a finished training was worth, by one schema for all commands."""

import math
import statistics
from typing import Any

from spectral_keras.data import Dataset
from spectral_keras.experiments.command import Stopped
from spectral_keras.experiments.folder import WorkFolder, file_hash, write_json
from spectral_keras.experiments.provenance import commit, conditions
from spectral_keras.experiments.train.fit_options import FitOptions
from spectral_keras.training.best_weights import BestWeights

__all__ = ["write_result"]


def write_result(
    folder: WorkFolder,
    own: dict[str, Any],
    *,
    options: FitOptions,
    data: Dataset,
    history: list[dict[str, Any]],
    best: BestWeights,
    scores: dict[str, float],
    command: str,
) -> dict[str, Any]:
    """Write result.json of a folder that has its history.csv; returns its content.

    Args:
        folder: the run's.
        own: JSON-plain dict of what the command adds to what every result has.
        options: the `FitOptions`.
        data: the `Dataset`.
        history: rows of the epochs.
        best: the `BestWeights`.
        scores: what the best weights reach on the test images, by name; "loss" and "accuracy".
        command: as a user would type it.

    Raises:
        Stopped: if the loss is not finite: nothing is called a result then.
    """
    if not math.isfinite(scores["loss"]):
        raise Stopped(
            f"the loss on the test images is {scores['loss']}: training diverged; try a lower "
            "--learning-rate or --precision float32"
        )
    splits = {"training": data.y_train, "validation": data.y_validation, "test": data.y_test}
    result = {
        **own,
        "dataset": data.name,
        **{f"test_{name}": float(score) for name, score in scores.items()},
        "test_accuracy": round(float(scores["accuracy"]), 6),
        "test_error_percent": round(100 * (1 - float(scores["accuracy"])), 4),
        "validation_accuracy": best.score,
        "best_epoch": best.epoch,
        "epochs": len(history),
        "images": {name: len(labels) for name, labels in splits.items()},
        "seconds": round(sum(row["seconds"] for row in history), 1),
        "images_per_second": statistics.median(row["images_per_second"] for row in history),
        "precision": options.precision,
        "seed": options.seed,
        "command": command,
        "history_sha256": file_hash(folder / "history.csv"),
        **conditions(),
        "commit": commit(),
    }
    write_json(folder / "result.json", result)
    return result
