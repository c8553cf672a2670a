"""Batches of the sizes that a model and its backend can take."""

import keras
import numpy as np
from keras import ops

from spectral_keras.attacks.compiled import any_batch_size, fixed_batch_size


def build_for(model, x):
    """Build a model that has no variables yet: they cannot be made within a trace."""
    if not getattr(model, "built", True):
        model(ops.convert_to_tensor(x[:1]), training=False)


def batch_sizes(model, batch_size, count):
    """The batch sizes that may be used, ascending; None: any up to the last."""
    fixed = fixed_batch_size(model)
    if fixed is not None:
        return (fixed,)
    largest = min(batch_size, max(count, 1))
    if any_batch_size():
        return None, largest
    # Each size is one more compilation: a full one, and one for the last few. By powers of two, so
    # that calls with ever fewer images share them.
    largest = min(batch_size, 1 << (largest - 1).bit_length())
    return tuple(sorted({max(1, largest // 4), largest}))


def padded_size(sizes, count):
    return count if sizes[0] is None else next(size for size in sizes if size >= count)


def pad(array, size):
    """The array with its first row repeated at its end up to `size` rows."""
    missing = size - len(array)
    return np.concatenate([array, np.repeat(array[:1], missing, axis=0)]) if missing else array


def batched(function, x, sizes):
    """The outputs of function for all of x, one batch after the other."""
    outputs = []
    for start in range(0, len(x), sizes[-1]):
        batch = x[start : start + sizes[-1]]
        padded = pad(batch, padded_size(sizes, len(batch)))
        values = ops.convert_to_numpy(quietly(function, ops.convert_to_tensor(padded)))
        outputs.append(values[: len(batch)])
    return np.concatenate(outputs)


def quietly(function, *tensors):
    """function(*tensors) without recording a gradient (PyTorch)."""
    if keras.backend.backend() != "torch":
        return function(*tensors)
    import torch

    with torch.no_grad():
        return function(*tensors)
