"""Training that survives SIGKILL: a checkpoint after each epoch, and the next start continues."""

import math
import sys
import time

import keras

from spectral_keras.experiments.command import CommandError
from spectral_keras.memory import is_out_of_memory
from spectral_keras.training.checkpoint import (
    CheckpointError,
    newest_checkpoint,
    restore_checkpoint,
    save_checkpoint,
)
from spectral_keras.training.non_finite import NonFiniteLossError, StopOnNonFiniteLoss


class Infeasible(Exception):
    """A point that cannot be trained; the message is the reason, in one line.

    Attributes:
        history: rows of the epochs that were finished before.
    """

    def __init__(self, reason):
        super().__init__(" ".join(str(reason).split()))
        self.history = []


def infeasible(error):
    """The `Infeasible` that an exception of building or training stands for, or None."""
    if is_out_of_memory(error):
        return Infeasible(f"out of memory: {str(error)[:200]}")
    return Infeasible(error) if isinstance(error, NonFiniteLossError) else None


def fit(model, batches, epochs, folder, *, best=None, on_epoch=None, monitor="val_accuracy"):
    """Train a compiled model; continue after the newest checkpoint of `folder`, if there is one.

    Args:
        model: compiled Keras model.
        batches: dict with the `Batches` "train" and "validation".
        epochs: number of epochs.
        folder: directory of the checkpoints.
        best: a `BestWeights` whose weights the checkpoints carry too, or None.
        on_epoch: function of (row of the history), called after each epoch, or None.
        monitor: entry of the logs that has to be there.

    Returns:
        The history: a list with a dict for each epoch, with "epoch" (from 1) and "seconds".

    Raises:
        Infeasible: if the loss is not finite or the memory does not suffice.
        CommandError: if the model does not measure `monitor`, or a checkpoint belongs to another
            model.
    """
    if not model.built:
        model.build((None, *batches["train"].images.shape[1:]))
    history = _restore(model, folder, best)
    train = batches["train"]

    class Recorder(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            train.epoch = epoch
            self.begin = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            row = {"epoch": epoch + 1}
            row |= {key: float(value) for key, value in logs.items()}
            row["seconds"] = round(max(0.0, time.perf_counter() - self.begin), 3)
            if monitor not in row:
                raise CommandError(
                    f"the model measures {', '.join(logs)}, not {monitor}: compile it with "
                    'metrics=["accuracy"]'
                )
            history.append(row)
            state = {"history": history}
            arrays = {}
            if best is not None:
                state["best"] = {"score": best.score, "epoch": best.epoch}
                arrays = {f"best{i:05d}": weight for i, weight in enumerate(best.weights)}
            save_checkpoint(folder, len(history), model, state, arrays=arrays)
            if on_epoch is not None:
                on_epoch(row)

    callbacks = [StopOnNonFiniteLoss(), Recorder()]
    if best is not None:
        callbacks.insert(1, best)
    if len(history) < epochs:
        try:
            model.fit(
                train,
                validation_data=batches["validation"],
                epochs=epochs,
                initial_epoch=len(history),
                callbacks=callbacks,
                shuffle=False,  # Batches shuffles; Keras would draw from the global generator
                verbose=0,
            )
        except Exception as error:
            reason = infeasible(error)
            if reason is None:
                raise
            reason.history = history
            raise reason from error
    return history


def _restore(model, folder, best):
    """The history up to the newest good checkpoint, whose state the model takes up."""
    state, content, damaged = newest_checkpoint(folder)
    instead = "the trial begins anew" if state is None else "the checkpoint before it is used"
    for message in damaged:
        print(f"{message}; {instead}", file=sys.stderr)
    if state is None:
        return []
    try:
        arrays = restore_checkpoint(model, content)
        if best is not None:
            best.score, best.epoch = state["best"]["score"], state["best"]["epoch"]
            best.weights = [arrays[key] for key in sorted(arrays)]
        history = state["history"]
        if [row["epoch"] for row in history] != list(range(1, len(history) + 1)):
            raise ValueError("no history of epochs")
    except (CheckpointError, KeyError, TypeError, ValueError) as error:
        raise CommandError(f"{folder} cannot be continued: {error}") from error
    return history


def best_row(history, monitor="val_accuracy"):
    """The first row with the highest score."""
    return max(history, key=lambda row: (row[monitor], -row["epoch"]))


def duration(seconds):
    """Seconds for people: 48 s, 3 min 20 s, 2 h 05 min."""
    seconds = max(0, math.ceil(seconds))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
