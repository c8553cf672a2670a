"""Training that survives SIGKILL: a checkpoint after each epoch, and the next start continues."""

import contextlib
import math
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

import keras

from spectral_keras.experiments.command import CommandError
from spectral_keras.training.best_weights import BestWeights
from spectral_keras.training.checkpoint import (
    CheckpointError,
    newest_checkpoint,
    restore_checkpoint,
    save_checkpoint,
)
from spectral_keras.training.non_finite import StopOnNonFiniteLoss

__all__ = ["ResumableFit", "best_row", "check_history"]


class ResumableFit:
    """`model.fit` in epochs that are never lost.

    A checkpoint holds the model, its optimizer, the history, the best weights and the counters of
    callbacks; continued from it, a training ends where the uninterrupted one ends, bit for bit, as
    the data of a step depend on (seed, epoch, index) only.

    Args:
        model: compiled, built Keras model.
        folder: directory of the checkpoints.
        images: number of training images, for the rate.
        best: a `BestWeights` that checkpoints carry too, or None.
        companions: dict of name -> (callback, names of its counters) for callbacks whose counters
            belong into a checkpoint.
        write: whether this process writes checkpoints.
        on_epoch: function of (row of the history), called before the checkpoint is written.

    Attributes:
        history: a row for each finished epoch: "epoch" (from 1), the logs, "learning_rate",
            "seconds" and "images_per_second".
        stopped_early: whether a callback ended the training.
    """

    def __init__(
        self,
        model: keras.Model,
        folder: pathlib.Path,
        images: int,
        *,
        best: BestWeights | None = None,
        companions: dict[str, tuple[keras.callbacks.Callback, tuple[str, ...]]] | None = None,
        write: bool = True,
        on_epoch: Callable[[dict[str, Any]], Any] | None = None,
    ):
        self.model, self.folder, self.images = model, folder, images
        self.best, self.companions = best, companions or {}
        self.write, self.on_epoch = write, on_epoch
        self.history: list[dict[str, Any]] = []
        self.stopped_early = False
        self.counters: dict[str, dict[str, Any]] = {}

    def restore(self, otherwise: Callable[[], bool] = lambda: False) -> bool:
        """Take up the newest good checkpoint; False if there is none.

        Args:
            otherwise: called where there is none; whether it has taken up something else.

        Raises:
            CommandError: if it belongs to another model or is not what `fit` wrote.
        """
        state, content, damaged = newest_checkpoint(self.folder)
        if state is None and otherwise():
            return True
        instead = "training begins anew" if state is None else "the checkpoint before it is used"
        for message in damaged if self.write else ():
            print(f"{message}; {instead}", file=sys.stderr)
        if state is None:
            return False
        try:
            self._take_up(state, restore_checkpoint(self.model, content))
        except CheckpointError as error:
            raise CommandError(f"{self.folder.parent} cannot be continued: {error}") from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CommandError(
                f"{self.folder.parent} cannot be continued: its newest checkpoint is damaged "
                f"({type(error).__name__}: {error}): delete it"
            ) from error
        return True

    def _take_up(self, state, arrays):
        """The state of a checkpoint; KeyError, TypeError, ... if it is not what `_save` wrote.

        The weights say nothing of who wrote them: whatever the files are made of is checked here.
        """
        rows = state["history"]
        check_history(rows)
        for key, values in state["counters"].items():
            if key not in self.companions or not all(
                value is None or _is_number(value) for value in values.values()
            ):
                raise ValueError(f"unknown counters {key}")
        if self.best is not None:
            best = state["best"]
            if not all(best[key] is None or _is_number(best[key]) for key in ("score", "epoch")):
                raise TypeError("the best epoch is no number")
            self.best.score, self.best.epoch = best["score"], best["epoch"]
            self.best.weights = [arrays[key] for key in sorted(arrays)]
        self.history, self.counters = rows, state["counters"]
        self.stopped_early = bool(state["stopped_early"])

    @property
    def epochs_done(self) -> int:
        """Number of finished epochs."""
        return len(self.history)

    def fit(
        self,
        train: Any,
        epochs: int,
        *,
        data: dict[str, Any],
        callbacks: list[keras.callbacks.Callback] | None = None,
        verbose: int = 0,
    ) -> None:
        """Train up to `epochs` epochs, after those that are done.

        Args:
            train: the `Batches` of the training images, whose epoch is set.
            epochs: number of epochs in all.
            data: arguments of `model.fit` with the batches.
            callbacks: further callbacks, which come before those of this class that save.
            verbose: of `model.fit`.

        Raises:
            NonFiniteLossError: if the loss is no longer a number; nothing of that epoch is kept.
        """
        if self.epochs_done >= epochs or self.stopped_early:
            return
        own: list[keras.callbacks.Callback] = [self.best] if self.best is not None else []
        own += [callback for callback, _ in self.companions.values()]
        self.model.fit(
            **data,
            epochs=epochs,
            initial_epoch=self.epochs_done,
            callbacks=[StopOnNonFiniteLoss(), *(callbacks or []), *own, _Recorder(self, train)],
            shuffle=False,  # Batches shuffles; Keras would draw from the global generator
            verbose=verbose,
        )

    def _end_epoch(self, row, stopped):
        self.history.append(row)
        self.stopped_early = stopped
        if self.on_epoch is not None:
            self.on_epoch(row)
        if self.write:
            self._save()
        with contextlib.suppress(OSError):
            print(end="", flush=True)

    def _save(self):
        counters = {
            key: {name: _plain(getattr(callback, name)) for name in names}
            for key, (callback, names) in self.companions.items()
        }
        state = {"history": self.history, "counters": counters, "stopped_early": self.stopped_early}
        arrays = {}
        if self.best is not None:
            state["best"] = {"score": self.best.score, "epoch": self.best.epoch}
            arrays = {f"best{i:05d}": weight for i, weight in enumerate(self.best.weights)}
        save_checkpoint(self.folder, len(self.history), self.model, state, arrays=arrays)


class _Recorder(keras.callbacks.Callback):
    """Keeps history, clock and checkpoints; the last callback of the list."""

    def __init__(self, fit, train):
        super().__init__()
        self._fit, self._train = fit, train

    def on_train_begin(self, logs=None):
        # Keras' callbacks reset their counters when training begins: put them back now.
        for key, values in self._fit.counters.items():
            callback, _ = self._fit.companions[key]
            for name, value in values.items():
                whole = name in ("wait", "best_epoch", "cooldown_counter")
                setattr(callback, name, int(value) if whole and value is not None else value)

    def on_epoch_begin(self, epoch, logs=None):
        self._train.epoch = epoch
        self._begin, self._trained = time.perf_counter(), None

    def on_test_begin(self, logs=None):
        self._trained = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        end = time.perf_counter()
        trained = (self._trained or end) - self._begin
        row = {"epoch": epoch + 1}
        row |= {key: float(value) for key, value in (logs or {}).items()}
        rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        row["learning_rate"] = float(rate)
        # A clock that was set back gives no rate; 0 stands for none.
        row["seconds"] = round(max(0.0, end - self._begin), 3)
        speed = self._fit.images / trained if trained > 0 else 0.0
        row["images_per_second"] = round(speed, 1)
        self._fit._end_epoch(row, bool(self.model.stop_training))


def check_history(rows: Any) -> None:
    """ValueError, TypeError, ... unless these are the rows of a `ResumableFit`."""
    columns = {"epoch", "loss", "seconds", "images_per_second"}
    if [row["epoch"] for row in rows] != list(range(1, len(rows) + 1)) or not all(
        columns <= row.keys() == rows[0].keys() and all(map(_is_number, row.values()))
        for row in rows
    ):
        raise ValueError("no history of epochs")


def best_row(history: list[dict[str, Any]], monitor: str = "val_accuracy") -> dict[str, Any]:
    """The first row with the highest score."""
    return max(history, key=lambda row: (row[monitor], -row["epoch"]))


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _plain(value):
    """A callback's counter as a JSON number."""
    return None if value is None or not math.isfinite(float(value)) else float(value)
