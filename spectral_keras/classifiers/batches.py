"""Batches of the sizes that a model and its backend can take."""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

__all__ = [
    "Sizes",
    "batch_sizes",
    "build_for",
    "fixed_batch_size",
    "pad",
    "padded_size",
    "run_in_batches",
]


def build_for(model: keras.Layer, x: np.ndarray) -> None:
    """Build a model that has no variables yet: they cannot be made within a trace."""
    if not getattr(model, "built", True):
        model(ops.convert_to_tensor(x[:1]), training=False)


def fixed_batch_size(model: keras.Layer) -> int | None:
    """The batch size that the model was built for, or None."""
    inputs = getattr(model, "inputs", None)
    return inputs[0].shape[0] if inputs else None


# Ascending; None comes first and stands for any size up to the last.
Sizes = tuple[int, ...] | tuple[None, int]


def batch_sizes(model: keras.Layer, batch_size: int, count: int) -> Sizes:
    """The batch sizes that may be used."""
    fixed = fixed_batch_size(model)
    if fixed is not None:
        return (fixed,)
    largest = min(batch_size, max(count, 1))
    if keras.backend.backend() != "jax":
        return None, largest
    # Each size is one more compilation: a full one, and one for the last few. By powers of two, so
    # that calls with ever fewer images share them.
    largest = min(batch_size, 1 << (largest - 1).bit_length())
    return tuple(sorted({max(1, largest // 4), largest}))


def padded_size(sizes: Sizes, count: int) -> int:
    """The smallest of the batch sizes that `count` images fit in."""
    known = [size for size in sizes if size is not None and size >= count]
    return count if sizes[0] is None else known[0]


def pad(array: np.ndarray, size: int) -> np.ndarray:
    """The array with its first row repeated at its end up to `size` rows."""
    missing = size - len(array)
    return np.concatenate([array, np.repeat(array[:1], missing, axis=0)]) if missing else array


def run_in_batches(function: Callable, x: np.ndarray, sizes: Sizes) -> np.ndarray:
    """The outputs of function for all of x, one batch after the other."""
    outputs, largest = [], sizes[-1]
    assert largest is not None  # only the first one may be
    for start in range(0, len(x), largest):
        batch = x[start : start + largest]
        values = ops.convert_to_numpy(function(pad(batch, padded_size(sizes, len(batch)))))
        outputs.append(values[: len(batch)])
    return np.concatenate(outputs)
