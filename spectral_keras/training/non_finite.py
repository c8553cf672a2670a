"""Stop a training whose loss, or one of whose weights, is no longer a number."""

import math
from typing import Any

import keras

__all__ = ["NonFiniteLossError", "StopOnNonFiniteLoss"]


class NonFiniteLossError(ArithmeticError):
    """The loss or a weight became infinite or not a number.

    Attributes:
        epoch: number of the epoch, counted from 1.
        quantity: name of the loss in the logs, or "a value of the weight PATH".
        value: what it was.
    """

    def __init__(self, epoch: int, quantity: str, value: Any):
        super().__init__(f"{quantity} is {value} in epoch {epoch}")
        self.epoch, self.quantity, self.value = epoch, quantity, value


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Raises `NonFiniteLossError` when the training or validation loss is not finite.

    At the end of an epoch it looks at the weights too: the last step may have spoilt them, and no
    loss has seen it yet.

    Put it before every callback that saves, so that nothing is saved from a broken epoch.  Keras
    logs the mean loss of the epoch, where a NaN stays: it is looked at every `every` batches,
    because reading it each time would make an accelerator wait.

    Args:
        every: batches between two looks.
    """

    def __init__(self, every: int = 20):
        super().__init__()
        self.every = every
        self._epoch = 0

    def _check(self, logs):
        for quantity in ("loss", "val_loss"):
            value = (logs or {}).get(quantity)
            if value is not None and not math.isfinite(float(value)):
                raise NonFiniteLossError(self._epoch + 1, quantity, float(value))

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if batch % self.every == 0:
            self._check(logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._check(logs)
        for weight in self.model.weights:
            if not keras.backend.is_float_dtype(weight.dtype):
                continue
            # One number a weight leaves the accelerator; a NaN or an infinity stays in the sum.
            total = float(keras.ops.sum(keras.ops.stop_gradient(weight.value) * 0.0))
            if total != 0:
                raise NonFiniteLossError(epoch + 1, f"a value of the weight {weight.path}", total)
