"""Plain crops of the spectrum to even sizes, which keep frequency -n/2 and leave out n/2.

Published poolings do this.  It is not separable: what is left of the Nyquist frequencies depends on
both axes.  Each rule is the separable "average" and a few more products of matrices.
"""

from typing import Any

import numpy as np
from keras import ops

from spectral_keras.ops.dft import cosines, sines
from spectral_keras.ops.resize import axis_matrix, resize, window_samples
from spectral_keras.ops.separable import apply_separable
from spectral_keras.ops.unknown_size import (
    apply_matrices,
    bases_of,
    resampling_matrix_of,
    sizes_of,
)

__all__ = ["CROP_RULES", "plain_crop"]

CROP_RULES = ("crop", "hartley")


def plain_crop(
    x: Any,
    output_size: Any,
    rule: str,
    norm: str,
    implementation: str,
    data_format: str,
    windows: Any = (None, None),
) -> Any:
    """Spectral pooling by a plain crop of the two-dimensional spectrum, the real part of it.

    With A the matrix of the rule "average", J that of x[m] -> x[-m], and N[p, m] =
    cos(pi p) sin(pi n_out m / n_in) / n_in for an even output size n_out (0 for others):

    - "crop", of the Fourier transform: A_h x A_w' - N_h x N_w';
    - "hartley", of the Hartley transform: that and - N_h x (A_w J)' - (A_h J) x N_w'.

    Args:
        x: images, at least of the output's height and width.
        output_size, norm, implementation, data_format, windows: as in `resize.resize`.
        rule: "crop" or "hartley".

    Returns:
        Tensor of x's dtype.
    """
    size = sizes_of(x, data_format)
    axes = list(zip(size, output_size, windows, strict=True))
    known = all(isinstance(n, int) for n in (*size, *output_size))
    if known:
        y = resize(x, output_size, "average", norm, implementation, data_format, windows)
        (mirrored_h, nyquist_h), (mirrored_w, nyquist_w) = (_matrices(*axis, norm) for axis in axes)
    else:
        (average_h, mirrored_h, nyquist_h), (average_w, mirrored_w, nyquist_w) = (
            _matrices_of(*axis, norm) for axis in axes
        )
        y = apply_matrices(x, average_h, average_w, data_format)
    multiply = apply_separable if known else apply_matrices
    terms = [(nyquist_h, nyquist_w)]
    if rule == "hartley":
        both = mirrored_w if nyquist_w is None else mirrored_w + nyquist_w
        terms = [(nyquist_h, both), (mirrored_h, nyquist_w)]
    for matrix_h, matrix_w in terms:
        if matrix_h is not None and matrix_w is not None:
            y = y - multiply(x, matrix_h, matrix_w, data_format)
    return y


def _matrices(n_in, n_out, window, norm):
    """A J and N of `plain_crop`; None for an N of zeros."""
    average = axis_matrix(n_in, n_out, "average", norm, window)
    average = np.eye(n_in) if average is None else average
    mirrored = average[:, -np.arange(n_in) % n_in]
    if n_out % 2 or n_out == n_in:
        return mirrored, None
    rows = cosines(n_out // 2 * np.arange(n_out), n_out)
    nyquist = np.outer(rows, sines(n_out // 2 * np.arange(n_in), n_in)) / n_in
    samples = window_samples(window, n_in, n_out)
    scale = np.sqrt(n_in / n_out) if norm == "ortho" else 1.0
    return mirrored, nyquist * (samples[-1] if samples else 1.0) * scale


def _matrices_of(n_in, n_out, window, norm):
    """A, A J and N of sizes that may be tensors, float64."""
    average = resampling_matrix_of(n_in, n_out, (0.5, 0.5), norm, window=window)
    mirrored = ops.take(average, -ops.arange(n_in, dtype="int32") % n_in, axis=1)
    frequency = ops.reshape(ops.convert_to_tensor(n_out // 2, dtype="int32"), (1,))
    into, out = (ops.cast(n, "float64") for n in (n_in, n_out))
    gain = 1 / into
    if window is not None:
        gain = gain * ops.cast(window(ops.cast(frequency, "float64"), into, out), "float64")
    if norm == "ortho":
        gain = gain * ops.sqrt(into / out)
    there = ops.logical_and(n_out % 2 == 0, n_out < n_in)
    rows = bases_of(n_out, frequency)[0] * gain * ops.cast(there, "float64")
    return average, mirrored, rows @ ops.transpose(bases_of(n_in, frequency)[1])
