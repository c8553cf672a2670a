"""Frequency dropout: a low-pass with a random cut-off (Rippel, Snoek and Adams 2015, 3.3).

A side R between R_min and n is sampled, and of the spectrum of an n x n map only the frequencies
in the centred R x R square are kept, |k| < R/2 on each axis.  A square of even side would not be
symmetric, so R and R - 1 keep the same frequencies for even R: R = 1, 2 keep 1 coefficient, 3, 4
keep 9, 5, 6 keep 25.  R >= n keeps everything, the Nyquist frequency of an even n included.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from spectral_keras.ops.dft import real_basis
from spectral_keras.ops.frequencies import signed_frequencies
from spectral_keras.ops.global_batch import global_draw
from spectral_keras.ops.resize import (
    axis_matrix,
    choose_implementation,
    resize_by_fft,
    resize_of_unknown_size,
    window_masks,
)
from spectral_keras.ops.separable import apply_separable
from spectral_keras.ops.unknown_size import ceil_of, sizes_of
from spectral_keras.ops.validation import (
    check_data_format,
    check_float_images,
    check_number,
    check_positive_int,
    spatial_shape,
)

__all__ = [
    "axis_side",
    "draw_side",
    "frequency_dropout",
    "frequency_dropout_floor",
    "lowpass_matrix",
]


def frequency_dropout_floor(m: int, num_layers: int, alpha: Any, beta: float) -> float:
    """The smallest kept fraction of layer m of a network of `num_layers` spectral pools.

    c_m(alpha, beta) = alpha + (m / M) (beta - alpha), m = 1 ... M.  With the paper's best
    alpha = 0.30 and beta = 0.15 the deeper layers may lose more.

    Args:
        m: index of the layer, 1 ... num_layers.
        num_layers: M.
        alpha, beta: fractions in [0, 1]; the last layer's floor is beta.

    Returns:
        A float in [0, 1], for `FrequencyDropout(min_fraction=...)`.

    Raises:
        ValueError: an argument is out of its range.

    >>> from spectral_keras.ops.frequency_dropout import frequency_dropout_floor
    >>> [round(frequency_dropout_floor(m, 6, 0.30, 0.15), 4) for m in range(1, 7)]
    [0.275, 0.25, 0.225, 0.2, 0.175, 0.15]
    """
    num_layers = check_positive_int("num_layers", num_layers)
    m = check_positive_int("m", m)
    if m > num_layers:
        raise ValueError(
            f"`m` must be in 1..num_layers={num_layers}, the first layer is 1. Received: m={m}"
        )
    alpha = check_number("alpha", alpha, low=0, high=1)
    beta = check_number("beta", beta, low=0, high=1)
    return alpha + (m / num_layers) * (beta - alpha)


def draw_side(size: Any, min_fraction: float, seed: Any, batch_size: Any = None) -> Any:
    """R, uniform on the integers from ceil(min_fraction * n), at least 1, to n.

    Args:
        size: (height, width), integers or scalar tensors; n is the larger of the two.
        min_fraction: number in [0, 1].
        seed: `keras.random.SeedGenerator` (or an integer for a fixed draw).
        batch_size: None for one draw, or the number of draws.

    Returns:
        int32 tensor of shape () or (batch_size,).
    """
    n = _largest(size)
    arguments = (ceil_of(min_fraction, n), n + 1, "int32", seed)
    if batch_size is None:
        return keras.random.randint((), *arguments)
    return global_draw(keras.random.randint, (batch_size,), *arguments)


def axis_side(side: Any, n: int, size: Any) -> Any:
    """The side for one axis of length n: ceil(side * n / max(size)).

    On square maps it is `side` itself.  On other maps the one draw is scaled to each axis, so
    that the kept rectangle has the shape of the map, and a full draw is full on both.
    """
    largest = _largest(size)
    side = ops.convert_to_tensor(side)
    known = isinstance(n, int) and isinstance(largest, int)
    return side if known and n == largest else (side * n + largest - 1) // largest


def _largest(size):
    height, width = size
    known = isinstance(height, int) and isinstance(width, int)
    return max(height, width) if known else ops.maximum(height, width)


def _keep_mask(frequency, n, side):
    """float32 ones at the kept frequencies; shape (len(frequency),) or (batch, ...)."""
    side = ops.expand_dims(side, -1)
    frequency = ops.convert_to_tensor(np.abs(frequency), dtype="int32")
    kept = ops.logical_or(2 * frequency < side, side >= n)
    return ops.cast(kept, "float32")


def lowpass_matrix(n: int, side: Any, after: Any = None, dtype: str = "float32") -> Any:
    """Real matrix that keeps the frequencies |k| < side/2 of n values, after another matrix.

    It is B^T diag(kept) B with the orthonormal real Fourier basis B, all n x n, so a random
    side costs next to nothing.

    Args:
        n: length of the axis.
        side: integer tensor of shape () or (batch,).
        after: None, or a numpy array of shape (n, n_in) that is applied first: the result is
            then a resampling and a low-pass in one matrix.
        dtype: of the result, "float32" or "float64".

    Returns:
        Tensor of shape (n, n) or (n, n_in), with a leading batch axis if `side` has one.
    """
    basis, frequency = real_basis(n)
    spectrum = basis if after is None else basis @ after
    kept = ops.expand_dims(ops.cast(_keep_mask(frequency, n, side), dtype), -1)
    inverse = ops.convert_to_tensor(basis.T.astype(dtype), dtype=dtype)
    return inverse @ (kept * ops.convert_to_tensor(spectrum.astype(dtype), dtype=dtype))


def frequency_dropout(
    x: Any,
    side: Any,
    *,
    output_size: Any = None,
    nyquist: str = "average",
    norm: str = "mean",
    implementation: str = "auto",
    data_format: str | None = None,
    windows: Any = (None, None),
) -> Any:
    """Keeps the central `side` x `side` square of the spectrum, after resizing if asked to.

    Args:
        x: float tensor of shape (batch, height, width, channels), or (batch, channels, height,
            width) with `data_format="channels_first"`.
        side: integer, or integer tensor of shape () or (batch,): R on the scale of the longer
            side of the output, see `axis_side`.
        output_size: None, or the pair (height, width) of a spectral pooling that comes first.
            The result is that of `spectral_resize` and then `frequency_dropout`, in one pass.
        nyquist, norm: of the spectral pooling.
        implementation: "auto", "matmul" or "fft".
        data_format: "channels_last", "channels_first" or None for Keras' global setting.
        windows: of the spectral pooling, see `resize.resize`.

    Returns:
        Tensor of x's dtype.
    """
    data_format = check_data_format(data_format)
    x = ops.convert_to_tensor(x)
    check_float_images(x, "frequency_dropout")
    size = spatial_shape(x.shape, data_format, "frequency_dropout")
    if output_size is None:
        output_size = sizes_of(x, data_format)
    sides = [axis_side(side, n, output_size) for n in output_size]
    if None in size:
        return resize_of_unknown_size(x, output_size, nyquist, norm, data_format, sides, windows)
    if choose_implementation(implementation, size, output_size) == "fft":
        masks = _dropout_masks(sides, output_size, window_masks(windows, size, output_size))
        return resize_by_fft(x, output_size, nyquist, norm, data_format, masks)
    # A float64 input gets float64 matrices; half precision is rounded only in the product.
    dtype = "float64" if keras.backend.standardize_dtype(x.dtype) == "float64" else "float32"

    def matrix(n_in, n_out, axis, window):
        after = axis_matrix(n_in, n_out, nyquist, norm, window)
        return lowpass_matrix(n_out, axis, after, dtype)

    matrix_h, matrix_w = map(matrix, size, output_size, sides, windows)
    return apply_separable(x, matrix_h, matrix_w, data_format)


def _dropout_masks(sides, output_size, window):
    rows, columns = output_size
    masks = [
        _keep_mask(signed_frequencies(rows), rows, sides[0]),
        _keep_mask(np.arange(columns // 2 + 1), columns, sides[1]),
    ]
    if window is not None:
        masks = [m * ops.cast(w, m.dtype) for m, w in zip(masks, window, strict=True)]
    if len(sides[0].shape):
        masks = [ops.expand_dims(mask, 1) for mask in masks]  # (batch, 1, frequencies)
    return masks
