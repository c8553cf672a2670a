"""Keep the weights that did best on the validation set."""

from collections.abc import Callable

import keras
import numpy as np

__all__ = ["BestWeights"]


class BestWeights(keras.callbacks.Callback):
    """Remembers the best weights by validation accuracy, and saves them as they appear.

    Without validation data the newest weights count as the best.  Ties do not replace.  The
    weights are kept in memory as well, so that a checkpoint can carry them.

    Args:
        save: function of (model) that is called at each improvement, or None.
        monitor: the entry of the logs to maximise; None for the newest weights.
    """

    def __init__(
        self, save: Callable[..., None] | None = None, monitor: str | None = "val_accuracy"
    ):
        super().__init__()
        self.save = save
        self.monitor = monitor
        self.score: float | None = None
        self.epoch: int | None = None
        self.weights: list[np.ndarray] | None = None

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        score = (logs or {}).get(self.monitor)
        if score is not None and self.score is not None and not score > self.score:
            return
        self.score = None if score is None else float(score)
        self.epoch = epoch + 1
        model = self.model
        self.weights = [np.array(weight) for weight in model.get_weights()]
        if self.save is not None:
            self.save(model)
