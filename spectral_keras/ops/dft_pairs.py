"""2-D DFT of images as pairs (real, imaginary) of real tensors."""

import functools
from typing import Any

import keras
import numpy as np
from keras import ops

from spectral_keras.ops.dft import cosines, interleaved_dft, sines
from spectral_keras.ops.fft import fft2, ifft2
from spectral_keras.ops.masking import choose_implementation
from spectral_keras.ops.separable import apply_separable

__all__ = ["dft_pair"]


def dft_pair(
    real: Any, imag: Any, inverse: bool, norm: str, implementation: str, data_format: str
) -> tuple[Any, Any]:
    """The DFT over height and width, or its inverse.

    Args:
        real: batch of images.
        imag: tensor of the same shape and dtype, or None for 0.
        inverse: whether to transform back.
        norm: "backward", "ortho" or "forward".
        implementation: "fft", in float32 at least; "matmul", in the images' dtype; or "auto",
            which is "fft" where height and width are not known.
        data_format: "channels_last" or "channels_first".

    Returns:
        (real, imaginary), each of the images' shape and dtype.
    """
    channels_last = data_format == "channels_last"
    height, width, channels = real.shape[1:] if channels_last else (*real.shape[2:], real.shape[1])
    if implementation == "auto":
        known = None not in (height, width, channels)
        implementation = choose_implementation(height, width, channels) if known else "fft"
    if implementation == "fft":
        dtype = keras.backend.standardize_dtype(real.dtype)
        plain = "float64" if dtype == "float64" else "float32"
        parts = [ops.cast(part, plain) for part in (real, imag) if part is not None]
        transform = ifft2 if inverse else fft2
        z = transform(parts if len(parts) == 2 else parts[0], norm=norm, data_format=data_format)
        z = z if isinstance(z, tuple) else (ops.real(z), ops.imag(z))
        return ops.cast(z[0], dtype), ops.cast(z[1], dtype)
    # Rows of (re, im) x width are, as they lie in memory, re and im rows in turn.
    axis = 2 if channels_last else 3
    stacked, lines = (2 * height, width), (height, 2 * width)
    x = real if imag is None else ops.concatenate([real, imag], axis)
    matrix_h, matrix_w = (
        _matrix(n, inverse, norm, rows) for n, rows in ((height, True), (width, False))
    )
    z = apply_separable(x, None, matrix_w[:, : x.shape[axis]], data_format)
    z = ops.reshape(z, (-1, *stacked, channels) if channels_last else (-1, channels, *stacked))
    z = apply_separable(z, matrix_h, None, data_format)
    z = ops.reshape(z, (-1, *lines, channels) if channels_last else (-1, channels, *lines))
    real, imag = ops.split(z, 2, axis)
    return real, imag


@functools.lru_cache(maxsize=64)
def _matrix(n, inverse, norm, interleaved):
    """The DFT of n complex values, (2 n, 2 n): parts in turn, or all real ones first."""
    scale = n**-0.5 if norm == "ortho" else 1 / n if inverse == (norm == "backward") else 1.0
    if interleaved:
        matrix = interleaved_dft(np.arange(n), n)
    else:
        turns = np.outer(np.arange(n), np.arange(n))
        cos, sin = cosines(turns, n), sines(turns, n)
        matrix = np.block([[cos, sin], [-sin, cos]])
    return np.ascontiguousarray((matrix.T if inverse else matrix) * scale)
