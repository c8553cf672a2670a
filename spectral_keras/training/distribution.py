"""Batches for several devices: the same global batch, and each device its part of it.

A batch of `spectral_keras.data.Batches` is a function of (epoch, index) alone.  What an image
becomes depends on its place in the whole batch, and each process computes its part of that only: so
the global batch is the same, image by image, on any number of devices.
"""

import functools
import re
from typing import Any

import keras
import numpy as np

__all__ = [
    "AverageOverReplicas",
    "PaddedBatches",
    "is_lost_worker",
    "process_rows",
    "size_for_replicas",
    "strategy_batches",
]

# What TensorFlow and JAX say when another process of a training is gone.
_LOST = (
    "UnavailableError", "AbortedError", "CancelledError", "DeadlineExceededError",
)  # fmt: skip
_LOST_WORDS = (
    "gloo", "connection reset", "connection closed", "socket closed", "heartbeat", "coordination",
    "unavailable:", "aborted:", "deadline_exceeded", "cancelled:", "nccl",
)  # fmt: skip


def strategy_batches(strategy: Any, batches: Any, *, first_epoch: int = 0) -> Any:
    """The batches of all epochs, without end, for `fit` under a TensorFlow strategy.

    Replica r of R gets the images r, r + R, r + 2 R, ... of each batch: the parts differ by one
    image at most.  Give `fit` the number of batches as `steps_per_epoch` (or `validation_steps`).

    Args:
        strategy: `tf.distribute.MirroredStrategy` or `MultiWorkerMirroredStrategy`.
        batches: `Batches`, which compute ahead.
        first_epoch: the epoch to begin with, where a training continues.

    Returns:
        `tf.distribute.DistributedDataset`.
    """
    import tensorflow as tf

    images, labels = batches.batch(first_epoch, 0, lambda count: np.arange(1))
    specs = tuple(
        tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in (images, labels)
    )
    total = strategy.num_replicas_in_sync

    def dataset(context):
        local = total // context.num_input_pipelines
        first = context.input_pipeline_id * local

        def parts():
            # The images of all replicas of this process, which alternate there as in the batch.
            mine = functools.partial(process_rows, first, local, total) if local < total else None
            for x, y in batches.endless(first_epoch, mine):
                for replica in range(local):
                    yield x[replica::local], y[replica::local]

        elements = tf.data.Dataset.from_generator(parts, output_signature=specs)
        # Without an end no replica has to ask the others before each step whether there is more.
        endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        return elements.apply(endless).prefetch(local)

    return strategy.distribute_datasets_from_function(dataset)


def size_for_replicas(images: int, batch_size: int, replicas: int) -> int:
    """The largest size, up to `batch_size`, whose last batch has images for all replicas.

    Native kernels of convolution give maps of a wrong shape, and an error in the next layer, for a
    replica without any image.  The size is a multiple of the replicas, as Keras adds up the parts
    of the first batch.  With fewer images than replicas there is none.

    Example:

    >>> from spectral_keras.training.distribution import size_for_replicas
    >>> size_for_replicas(29, 14, 2), size_for_replicas(30, 14, 2)
    (12, 14)
    """
    for size in range(batch_size - batch_size % replicas, 0, -replicas):
        if images % size == 0 or images % size >= replicas:
            return size
    return batch_size


def process_rows(first: int, local: int, total: int, count: int) -> np.ndarray:
    """Indices of the images of `local` replicas, `first` and those after it, in a batch of `count`.

    Replica r of `total` has the images r, r + total, ...; each of them finds its own again as every
    `local`-th of these.
    """
    replica = np.arange(count) % total
    return np.flatnonzero((replica >= first) & (replica < first + local))


class PaddedBatches(keras.utils.PyDataset):
    """Batches of a size that all devices of JAX divide, and of them what this process feeds.

    JAX puts equal parts on all devices.  A batch of another size gets copies of its first image
    at its end, which `AdversarialModel` takes off again on the devices when its attribute
    `padded_batches` has been set to `padding` of the training and of the validation batches.

    Args:
        batches: `Batches`, or another `keras.utils.PyDataset`.
        size, last: number of images of a batch and of the last one.
        devices: number of devices, of all processes.
        process, processes: index of this process and number of processes.

    Attributes:
        padding: dict, size with padding -> size, of those that differ.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.data import Batches
    >>> from spectral_keras.training.distribution import PaddedBatches
    >>> batches = Batches(np.zeros((7, 2, 2, 1)), np.arange(7), 4)
    >>> padded = PaddedBatches(batches, 4, 3, devices=2)
    >>> padded.padding, padded[1][1].tolist()
    ({6: 3}, [4, 5, 6, 4, 4, 4])
    """

    def __init__(
        self,
        batches: Any,
        size: int,
        last: int,
        *,
        devices: int,
        process: int = 0,
        processes: int = 1,
    ):
        super().__init__()
        self.batches = batches
        self._process, self._processes = process, processes
        self._larger: dict[int, int] = {}
        for real in dict.fromkeys((size, last)):
            larger = -(-real // devices) * devices
            # A size stands for one number of images.
            while larger in self._larger.values():
                larger += devices
            self._larger[real] = larger
        self.padding = {larger: real for real, larger in self._larger.items() if larger != real}

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        if self._processes > 1 and hasattr(self.batches, "get"):
            return self.batches.get(index, self._rows)  # computed for this process alone
        return tuple(array[self._rows(len(array))] for array in self.batches[index])

    def _rows(self, count):
        """Indices of the images of this process in a batch of `count`."""
        rows = self._larger[count] // self._processes
        chosen = np.arange(self._process * rows, (self._process + 1) * rows)
        return np.where(chosen < count, chosen, 0)


class AverageOverReplicas(keras.callbacks.Callback):
    """Gives every replica the mean of the moving averages (of batch normalisation) of all.

    Each replica of a TensorFlow strategy normalises its own part of the batch and has moving
    averages of that.  They are averaged before the model is evaluated, and at the end of an epoch
    without evaluation; all workers need this callback, before those that save.
    """

    def __init__(self):
        super().__init__()
        self._average = None
        self._averaged = False

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._averaged = False

    def on_test_begin(self, logs: dict | None = None) -> None:
        self._run()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if not self._averaged:
            self._run()

    def _run(self):
        self._averaged = True
        variables = [
            variable
            for variable in self.model.non_trainable_variables
            if keras.backend.is_float_dtype(keras.backend.standardize_dtype(variable.dtype))
        ]
        if not variables:
            return
        import tensorflow as tf

        strategy = self.model.distribute_strategy
        if self._average is None:

            def average():
                values = [tf.identity(variable.value) for variable in variables]
                return tf.distribute.get_replica_context().all_reduce("MEAN", values)

            self._average = tf.function(lambda: strategy.run(average))
        for variable, mean in zip(variables, self._average(), strict=True):
            variable.assign(strategy.experimental_local_results(mean)[0])


def is_lost_worker(error: BaseException | None) -> bool:
    """Whether an exception says that another process of the training cannot be reached.

    Example:

    >>> from spectral_keras.training.distribution import is_lost_worker
    >>> is_lost_worker(RuntimeError("Gloo all-reduce failed: Connection closed by peer"))
    True
    >>> is_lost_worker(ValueError("`units` must be positive"))
    False
    """
    while error is not None:
        names = {kind.__name__ for kind in type(error).__mro__}
        if names & set(_LOST):
            return True
        text = str(error).lower()
        if "RuntimeError" in names and any(word in text for word in _LOST_WORDS):
            return True
        # Where JAX moves an array it turns its errors into a ValueError.
        if "ValueError" in names and re.search(r"(gloo|nccl)\b.*failed", text):
            return True
        # What Keras does after the failure of a step may fail as well.
        error = error.__cause__ or error.__context__
    return False
