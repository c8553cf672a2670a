"""The training of a point, which may be one that cannot be trained."""

import pathlib
from collections.abc import Callable
from typing import Any

import keras

from spectral_keras.data import Batches
from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.fit import ResumableFit
from spectral_keras.memory import is_out_of_memory
from spectral_keras.training.best_weights import BestWeights
from spectral_keras.training.non_finite import NonFiniteLossError

__all__ = ["Infeasible", "describe_epoch", "fit", "infeasible"]


class Infeasible(Exception):
    """A point that cannot be trained; the message is the reason, in one line.

    Attributes:
        history: rows of the epochs that were finished before.
    """

    def __init__(self, reason: object):
        super().__init__(" ".join(str(reason).split()))
        self.history: list[dict[str, Any]] = []


def infeasible(error: BaseException) -> Infeasible | None:
    """The `Infeasible` that an exception of building or training stands for, or None."""
    if is_out_of_memory(error):
        return Infeasible(f"out of memory: {str(error)[:200]}")
    return Infeasible(error) if isinstance(error, NonFiniteLossError) else None


def describe_epoch(row: dict[str, Any], epochs: int) -> str:
    """A row of the history in a line."""
    return (
        f"epoch {row['epoch']}/{epochs}: loss {row['loss']:.4f}, "
        f"val_accuracy {row['val_accuracy']:.4f}, {row['seconds']:.1f} s"
    )


def fit(
    model: keras.Model,
    batches: dict[str, Batches],
    epochs: int,
    folder: pathlib.Path,
    *,
    best: BestWeights | None = None,
    on_epoch: Callable[[dict[str, Any]], Any] | None = None,
) -> list[dict[str, Any]]:
    """Train a compiled model as a `ResumableFit` with its checkpoints in `folder`.

    Args:
        model: compiled Keras model.
        batches: dict with the `Batches` "train" and "validation".
        epochs: number of epochs.
        folder: directory of the checkpoints.
        best: a `BestWeights`, or None.
        on_epoch: function of (row of the history), called after each epoch, or None.

    Returns:
        The history, see `ResumableFit`.

    Raises:
        Infeasible: if the loss is not finite or the memory does not suffice.
        CommandError: if the model does not measure "val_accuracy", or a checkpoint belongs to
            another model.
    """
    train = batches["train"]

    def check(row):
        if "val_accuracy" not in row:
            measured = ", ".join(name for name in row if "loss" in name or "val" in name)
            raise CommandError(
                f"the model measures {measured}, not val_accuracy: compile it with "
                'metrics=["accuracy"]'
            )
        if on_epoch is not None:
            on_epoch(row)

    if not model.built:
        model.build((None, *train.images.shape[1:]))
    progress = ResumableFit(model, folder, len(train.labels), best=best, on_epoch=check)
    progress.restore()
    try:
        data = {"x": train, "validation_data": batches["validation"]}
        progress.fit(train, epochs, data=data)
    except Exception as error:
        reason = infeasible(error)
        if reason is None:
            raise
        reason.history = progress.history
        raise reason from error
    return progress.history
