"""Weights of frequencies at another resolution, by one rule.

A weight belongs to a frequency in periods an image: frequency k of an image of n values an axis is
frequency k of the same image at m values.  Then filtering and resampling commute below both Nyquist
frequencies.

- Fewer values: the weights of the frequencies that remain.
- More values: the new frequencies take the weight of the last one that is there, with its sign, and
  both n/2 and -n/2 that of the Nyquist bin of an even n.
- Either way the Nyquist bin of an even m stands for m/2 and -m/2 and takes the mean of both.

Of the last column of a half spectrum of even width only the Hermitian part acts on real images, as
it holds both signs of a frequency.  At a larger width it is one of two, so the rest goes first.
"""

import functools
from typing import Any

import numpy as np
from keras import ops

from spectral_keras.ops.frequencies import signed_frequencies

__all__ = ["transfer", "transfer_matrix"]


@functools.lru_cache(maxsize=128)
def transfer_matrix(n_in: int, n_out: int, half: bool = False) -> np.ndarray:
    """The rule for one axis as a matrix of 0, 1/2 and 1.

    Args:
        n_in, n_out: sizes of the images.
        half: whether the axis holds the frequencies 0 ... n//2 of a half spectrum only, whose other
            half is implied, in place of all in unshifted order.

    Returns:
        Read-only float64 array of shape (n_out, n_in), or (n_out//2 + 1, n_in//2 + 1).

    Example:

    >>> from spectral_keras.ops.transfer import transfer_matrix
    >>> transfer_matrix(5, 4).tolist()[2]
    [0.0, 0.0, 0.5, 0.5, 0.0]
    """
    if half:
        rows = np.minimum(np.arange(n_out // 2 + 1), n_in // 2)
        matrix = np.eye(n_in // 2 + 1)[rows]
    else:
        k = signed_frequencies(n_out)
        matrix = np.zeros((n_out, n_in))
        # The Nyquist bin of an even size is the frequency -n/2, and n/2 as well.
        for sign in (1, -1):
            signed = np.where((2 * k == -n_out) & (sign < 0), -k, k)
            known = np.clip(signed, -(n_in // 2), n_in // 2)
            matrix[np.arange(n_out), known % n_in] += 1
        matrix /= matrix.sum(axis=1, keepdims=True)
    matrix.flags.writeable = False
    return matrix


def transfer(weights: Any, size: Any, new_size: Any, half: bool = False) -> Any:
    """Weights of the frequencies of images at another size of the images.

    Args:
        weights: tensor of shape (height, width, ...) in unshifted order, or (height,
            width//2 + 1, ..., 2) for a half spectrum in real and imaginary parts.
        size, new_size: pairs (height, width) of the images; the new ones may be scalar tensors.
        half: whether the width is that of a half spectrum.

    Returns:
        Tensor of the weights' dtype.
    """
    known = all(isinstance(n, int) for n in new_size)
    if half and size[1] % 2 == 0 and not (known and new_size[1] <= size[1]):
        weights = _with_hermitian_last_column(weights)
    if not known:
        weights = _transfer_axis(weights, 0, size[0], new_size[0])
        return _transfer_axis(weights, 1, size[1], new_size[1], half)
    if tuple(size) == tuple(new_size):
        return weights
    matrix_h = transfer_matrix(size[0], new_size[0])
    matrix_w = transfer_matrix(size[1], new_size[1], half)
    rest = tuple(weights.shape[2:])
    dtype = weights.dtype
    # Not ops.matmul, which turns float64 into float32 on PyTorch.
    flat = ops.reshape(weights, (weights.shape[0], -1))
    flat = ops.convert_to_tensor(matrix_h, dtype=dtype) @ flat
    flat = ops.reshape(flat, (new_size[0], matrix_w.shape[1], -1))
    flat = ops.convert_to_tensor(matrix_w, dtype=dtype) @ flat
    return ops.reshape(flat, (new_size[0], matrix_w.shape[0], *rest))


def _with_hermitian_last_column(weights):
    """The last column as the mean of itself and its conjugate at the opposite frequencies."""
    height, width = weights.shape[:2]
    last = weights[:, width - 1 :]
    opposite = ops.take(last, -np.arange(height) % height, axis=0)
    conjugate = opposite * ops.convert_to_tensor([1, -1], dtype=weights.dtype)
    return ops.concatenate([weights[:, : width - 1], (last + conjugate) / 2], axis=1)


def _transfer_axis(weights, axis, n_in, n_out, half=False):
    """`transfer_matrix` times an axis of weights, by indices that are made in the graph."""
    last = n_in // 2
    if half:
        rows = ops.minimum(ops.arange(n_out // 2 + 1, dtype="int32"), last)
        return ops.take(weights, rows, axis=axis)
    index = ops.arange(n_out, dtype="int32")
    k = ops.where(index < (n_out + 1) // 2, index, index - n_out)
    # The other frequency of the Nyquist bin of an even size.
    other = ops.where(2 * k == -n_out, -k, k)
    parts = [ops.take(weights, ops.clip(one, -last, last) % n_in, axis=axis) for one in (k, other)]
    return (parts[0] + parts[1]) / 2
