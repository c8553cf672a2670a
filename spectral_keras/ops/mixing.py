"""Mixing of channels at each of the lowest frequencies of images, by matrices of few rows."""

import functools
from typing import Any

import numpy as np
from keras import ops

from spectral_keras.ops.dft import cosines, interleaved_dft, sines
from spectral_keras.ops.frequencies import signed_frequencies
from spectral_keras.ops.separable import apply_separable
from spectral_keras.ops.unknown_size import bases_of, sizes_of

__all__ = ["spectral_mixing"]


def spectral_mixing(x: Any, kernel: Any, output_size: Any, data_format: str) -> Any:
    """F^-1(R(k) F(x)(k)) on the frequencies |k_h| < m_h, |k_w| < m_w, 0 elsewhere.

    F has the factor 1/(height width) and F^-1 none, so that R means the same at every size.  A
    frequency that the images or the output do not have, k >= n/2, is left out; the Nyquist bin of
    an even size, which has no phase, is one of these.

    Args:
        x: float images of rank 4.
        kernel: tensor of shape (2 m_h - 1, m_w, channels, filters, 2), real and imaginary parts;
            rows in the unshifted order of 2 m_h - 1 values, columns 0 ... m_w - 1.
        output_size: pair of integers, or None for the size of the images.
        data_format: "channels_last" or "channels_first".

    Returns:
        Tensor of x's dtype with `filters` channels.
    """
    channels_last = data_format == "channels_last"
    size = sizes_of(x, data_format)
    sizes = (size, output_size or size)
    if channels_last and not all(isinstance(n, int) for pair in sizes for n in pair):
        y = spectral_mixing(ops.transpose(x, (0, 3, 1, 2)), kernel, output_size, "channels_first")
        return ops.transpose(y, (0, 2, 3, 1))
    rows, columns, channels, filters, _ = kernel.shape
    forward, inverse = (
        (_row_matrix(n[0], rows, back), _column_matrix(n[1], columns, back))
        for n, back in zip(sizes, (False, True), strict=True)
    )
    # Rows of (re, im) x columns are, as they lie in memory, columns of re and im rows in turn.
    stacked, lines = (2 * size[0], columns), (sizes[1][0], 2 * columns)
    shape = (rows, 2, columns)
    order = (1, 3, 0, 2, 4) if channels_last else (2, 4, 0, 3, 1)

    def images(plane, depth):
        return (-1, *plane, depth) if channels_last else (-1, depth, *plane)

    z = _product(x, None, forward[1], data_format)
    z = _product(ops.reshape(z, images(stacked, channels)), forward[0], None, data_format)
    z = ops.transpose(ops.reshape(z, images(shape, channels)), order)
    z = ops.reshape(z, (rows * columns, -1, 2 * channels))
    z = z @ ops.cast(_mixing_matrices(kernel), x.dtype)
    z = ops.reshape(z, (rows, columns, -1, 2, filters))
    z = ops.transpose(z, tuple(np.argsort(order)))
    z = ops.reshape(z, images((2 * rows, columns), filters))
    z = _product(z, inverse[0], None, data_format)
    return _product(ops.reshape(z, images(lines, filters)), None, inverse[1], data_format)


def _mixing_matrices(kernel):
    """[[Re R, Im R], [-Im R, Re R]] of each frequency, for rows (re, im) of channels."""
    real, imag = kernel[..., 0], kernel[..., 1]
    upper, lower = (ops.concatenate(pair, axis=-1) for pair in ((real, imag), (-imag, real)))
    matrices = ops.concatenate([upper, lower], axis=-2)
    return ops.reshape(matrices, (-1, *matrices.shape[2:]))


def _product(x, matrix_h, matrix_w, data_format):
    if isinstance(matrix_w if matrix_h is None else matrix_h, np.ndarray):
        return apply_separable(x, matrix_h, matrix_w, data_format)
    if matrix_h is None:
        return x @ ops.transpose(ops.cast(matrix_w, x.dtype))
    return ops.cast(matrix_h, x.dtype) @ x


@functools.lru_cache(maxsize=64)
def _static_column_matrix(n, columns, back):
    k = np.arange(columns)
    turns = np.outer(k, np.arange(n))
    matrix = np.concatenate([cosines(turns, n), -sines(turns, n)])
    factor = np.where(2 * k < n, np.where((k > 0) & back, 2.0, 1.0), 0.0)
    return _finish(matrix * np.tile(factor, 2)[:, None], n, back)


@functools.lru_cache(maxsize=64)
def _static_row_matrix(n, rows, back):
    k = signed_frequencies(rows)
    kept = np.repeat(2 * np.abs(k) < n, 2)
    return _finish(interleaved_dft(k, n) * kept[:, None], n, back)


def _finish(matrix, n, back):
    return np.ascontiguousarray(matrix.T) if back else matrix / n


def _column_matrix(n, columns, back):
    """Frequencies 0 ... columns - 1 of real rows, (2 columns, n), or (n, 2 columns) to go back."""
    if isinstance(n, int):
        return _static_column_matrix(n, columns, back)
    k = np.arange(columns, dtype="int32")
    cos, sin = bases_of(n, k)
    factor = ops.cast(2 * k < n, "float64") * np.where((k > 0) & back, 2.0, 1.0)
    matrix = ops.concatenate([cos * factor, -sin * factor], axis=1)
    return matrix if back else ops.transpose(matrix) / ops.cast(n, "float64")


def _row_matrix(n, rows, back):
    """The DFT of complex columns, parts interleaved, (2 rows, 2 n), or (2 n, 2 rows) to go back."""
    if isinstance(n, int):
        return _static_row_matrix(n, rows, back)
    k = signed_frequencies(rows).astype("int32")
    kept = ops.cast(2 * np.abs(k) < n, "float64")
    cos, sin = (part * kept for part in bases_of(n, k))
    # (n, re or im of the image, rows, re or im of the spectrum)
    parts = [ops.stack([cos, -sin], -1), ops.stack([sin, cos], -1)]
    matrix = ops.reshape(ops.stack(parts, 1), (-1, 2 * rows))
    return matrix if back else ops.transpose(matrix) / ops.cast(n, "float64")
