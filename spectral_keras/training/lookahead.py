"""Weights that are pulled back, every few steps, towards where they were."""

from typing import Any

import keras

from spectral_keras.ops.validation import check_number, check_positive_int

__all__ = ["Lookahead"]


class Lookahead(keras.callbacks.Callback):
    """Every `every` steps the weights move back towards those of the last such move.

    With the slow weights s, those after the last move, and the weights w of now, both become
    d s + (1 - d) w, d = decay^every (t / T)^3 after t of the T steps of the training: Lookahead
    (Zhang et al. 2019, arXiv 1907.08610, algorithm 1) with the rising share of Jordan 2024 (arXiv
    2404.00498, section 3.4), which averages most where the training ends.  The optimizer's own
    state stays as it is; running averages of normalisations move too, but for those that each
    replica of a TensorFlow strategy has of its own.

    The last move of an epoch is at its end, after which both are the same: a training that is
    continued after an epoch needs no further state, and ends with the averaged weights.

    Args:
        total_steps: T, steps of the whole training.
        every: steps between two moves; a multiple of the model's `steps_per_execution`.
        decay: of a step at the end of the training, in [0, 1).

    Raises:
        ValueError: for an argument out of its range; in `fit`, if several steps are executed at
            once and `every` is no multiple of them.

    Example:

    >>> import keras, numpy as np
    >>> from spectral_keras.training import Lookahead
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> history = model.fit(
    ...     np.ones((8, 2)), np.ones(8), batch_size=1, verbose=0, callbacks=[Lookahead(8, every=4)]
    ... )
    """

    def __init__(self, total_steps: int, every: int = 5, decay: float = 0.95) -> None:
        super().__init__()
        self.total_steps = check_positive_int("total_steps", total_steps)
        self.every = check_positive_int("every", every)
        self.decay = check_number("decay", decay, 0, 1, high_open=True)
        self._first = self._step = 0  # steps before this epoch, and in it
        self._moved = True
        self._slow: list[Any] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        at_once = getattr(self.model, "steps_per_execution", 1)
        if self.every % at_once:
            raise ValueError(
                "`every` must be a multiple of the model's `steps_per_execution`. Received: "
                f"every={self.every}, steps_per_execution={at_once}"
            )
        # The steps of a training that is continued: it counts its updates, each of several steps
        # where it accumulates gradients.
        optimizer = self.model.optimizer
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        accumulated = getattr(optimizer, "gradient_accumulation_steps", None) or 1
        self._first = accumulated * int(keras.ops.convert_to_numpy(optimizer.iterations))
        self._step = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._first += self._step
        self._step, self._moved = 0, True
        self._slow = [keras.ops.copy(weight.value) for weight in self._weights()]

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        steps = (self.params or {}).get("steps")
        # The last of the executions of several steps may have fewer, which `batch` does not say.
        self._step, self._moved = min(batch + 1, steps or batch + 1), False
        if self._step % self.every == 0 or self._step == steps:
            self._move()

    # The last move where `fit` does not know beforehand which step is the last one.

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._move()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._move()

    def _move(self):
        if self._moved:
            return
        self._moved = True
        share = min((self._first + self._step) / self.total_steps, 1.0)
        kept = self.decay**self.every * share**3
        for index, weight in enumerate(self._weights()):
            # In this order a weight that was not trained keeps its bits.
            slow = weight.value + kept * (self._slow[index] - weight.value)
            weight.assign(slow)
            # JAX may reuse the memory of what a variable holds.
            self._slow[index] = keras.ops.copy(slow)

    def _weights(self):
        strategy = getattr(self.model, "distribute_strategy", None)
        several = strategy is not None and strategy.num_replicas_in_sync > 1
        weights = self.model.trainable_variables if several else self.model.weights
        return [w for w in weights if keras.backend.is_float_dtype(w.dtype)]
