"""Resampling of images whose height or width is not known before they are there.

Only a graph of TensorFlow has such tensors; elsewhere a function sees numbers.  The matrices are
made in the graph, in float64.
"""

import math
from collections.abc import Sequence
from typing import Any

from keras import ops

from spectral_keras.ops.frequencies import ROUNDING, ceil_of_fraction, floor_of_fraction

__all__ = [
    "apply_matrices",
    "bases_of",
    "ceil_of",
    "floor_of",
    "resampling_matrix_of",
    "root_of_ratio",
    "sizes_of",
]


def sizes_of(x: Any, data_format: str) -> tuple[Any, Any]:
    """(height, width) of images: integers, or scalar tensors where they are unknown."""
    shape = ops.shape(x)
    return shape[1:3] if data_format == "channels_last" else shape[2:4]


def floor_of(fraction: Any, n: Any) -> Any:
    """`floor_of_fraction` of an integer or a scalar tensor."""
    if isinstance(n, int):
        return floor_of_fraction(fraction, n)
    value = fraction * ops.cast(n, "float64")
    value = ops.floor(value + ROUNDING * ops.maximum(value, 1.0))
    return ops.maximum(ops.cast(value, "int32"), 1)


def ceil_of(fraction: float, n: Any) -> Any:
    """`ceil_of_fraction` of an integer or a scalar tensor."""
    if isinstance(n, int):
        return ceil_of_fraction(fraction, n)
    value = fraction * ops.cast(n, "float64")
    value = ops.ceil(value - ROUNDING * ops.maximum(value, 1.0))
    return ops.maximum(ops.cast(value, "int32"), 1)


def root_of_ratio(size: Sequence[Any], output_size: Sequence[Any], dtype: str) -> Any:
    """sqrt(H W / (H_out W_out)) of integers or scalar tensors, a tensor of a dtype."""
    if all(isinstance(n, int) for n in (*size, *output_size)):
        # Not `ops.cast`, which makes a float32 of a Python number first.
        ratio = math.sqrt(math.prod(size) / math.prod(output_size))
        return ops.convert_to_tensor(ratio, dtype=dtype)
    height, width, rows, columns = (ops.cast(n, "float64") for n in (*size, *output_size))
    return ops.cast(ops.sqrt(height * width / (rows * columns)), dtype)


def bases_of(n: Any, k: Any) -> tuple[Any, Any]:
    """cos and sin of 2 pi k m / n, float64 of shape (n, len(k)), for an integer tensor n."""
    # Reduced as integers, so that the angles are exact.
    turns = (ops.expand_dims(ops.arange(n, dtype="int32"), 1) * k) % n
    angle = 2 * math.pi * ops.cast(turns, "float64") / ops.cast(n, "float64")
    return ops.cos(angle), ops.sin(angle)


def resampling_matrix_of(
    n_in: Any,
    n_out: Any,
    weights: tuple[float, float],
    norm: str,
    side: Any = None,
    window: Any = None,
) -> Any:
    """`resize.resampling_matrix` for sizes that may be tensors, and with a low-pass after it.

    cos(a - b) = cos a cos b + sin a sin b makes the sum over the frequencies a matrix product.

    Args:
        n_in, n_out: integers or scalar int32 tensors.
        weights: of the Nyquist frequency, (shrinking, enlarging).
        norm: "mean" or "ortho".
        side: None, or the integer tensor of shape () or (batch,) of `frequency_dropout`.
        window: None, or a function (frequency, size_in, size_out) of float64 tensors.

    Returns:
        float64 tensor of shape (n_out, n_in), with a leading batch axis if `side` has one.
    """
    smaller = ops.minimum(n_in, n_out)
    k = ops.arange(smaller // 2 + 1, dtype="int32")

    shrinking, enlarging = (ops.convert_to_tensor(w, dtype="float64") for w in weights)
    half = ops.convert_to_tensor(0.5, dtype="float64")
    nyquist = ops.where(n_out < n_in, shrinking, ops.where(n_out > n_in, enlarging, half))
    count = 2 * ops.ones_like(ops.cast(k, "float64"))
    count = ops.where(2 * k == smaller, 2 * nyquist, count)
    count = ops.where(k == 0, ops.ones_like(count), count) / ops.cast(n_in, "float64")
    if window is not None:
        n_in, n_out = (ops.convert_to_tensor(n) for n in (n_in, n_out))
        sizes = (ops.cast(n, "float64") for n in (n_in, n_out))
        count = count * ops.cast(window(ops.cast(k, "float64"), *sizes), "float64")
    if norm == "ortho":
        count = count * ops.sqrt(ops.cast(n_in, "float64") / ops.cast(n_out, "float64"))
    if side is not None:
        side = ops.expand_dims(side, -1)
        kept = ops.logical_or(2 * k < side, side >= n_out)
        count = ops.expand_dims(count * ops.cast(kept, "float64"), -2)
    (cos_in, sin_in), (cos_out, sin_out) = bases_of(n_in, k), bases_of(n_out, k)
    cosines = (cos_out * count) @ ops.transpose(cos_in)
    return cosines + (sin_out * count) @ ops.transpose(sin_in)


def apply_matrices(x: Any, matrix_h: Any, matrix_w: Any, data_format: str) -> Any:
    """`separable.apply_separable` of images of unknown size, tensors for matrices."""
    if data_format == "channels_last":
        x = ops.transpose(x, (0, 3, 1, 2))
    matrix_h, matrix_w = (ops.cast(m, x.dtype) for m in (matrix_h, matrix_w))
    if len(matrix_h.shape) == 3:
        matrix_h, matrix_w = ops.expand_dims(matrix_h, 1), ops.expand_dims(matrix_w, 1)
    x = matrix_h @ x @ ops.swapaxes(matrix_w, -2, -1)
    return ops.transpose(x, (0, 2, 3, 1)) if data_format == "channels_last" else x
