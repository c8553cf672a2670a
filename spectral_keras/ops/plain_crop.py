"""Plain crops of the spectrum to even sizes, which keep frequency -n/2 and leave out n/2.

Published poolings do this.  It is not separable: what is left of the Nyquist frequencies depends on
both axes.  Each rule is the separable "average" and a few more products of matrices.
"""

from typing import Any

import numpy as np

from spectral_keras.ops.dft import cosines, sines
from spectral_keras.ops.resize import axis_matrix, resize, window_samples
from spectral_keras.ops.separable import apply_separable
from spectral_keras.ops.validation import spatial_shape

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
        x: images whose height and width are known, at least the output's.
        output_size, norm, implementation, data_format, windows: as in `resize.resize`.
        rule: "crop" or "hartley".

    Returns:
        Tensor of x's dtype.
    """
    size = spatial_shape(x.shape, data_format, "SpectralPool")
    y = resize(x, output_size, "average", norm, implementation, data_format, windows)
    axes = list(zip(size, output_size, windows, strict=True))
    nyquist_h, nyquist_w = (_nyquist_matrix(*axis, norm) for axis in axes)
    terms = []
    if rule == "crop":
        terms = [(nyquist_h, nyquist_w)]
    else:
        mirrored_h, mirrored_w = (_mirrored(*axis, norm) for axis in axes)
        both = mirrored_w if nyquist_w is None else mirrored_w + nyquist_w
        terms = [(nyquist_h, both), (mirrored_h, nyquist_w)]
    for matrix_h, matrix_w in terms:
        if matrix_h is not None and matrix_w is not None:
            y = y - apply_separable(x, matrix_h, matrix_w, data_format)
    return y


def _nyquist_matrix(n_in, n_out, window, norm):
    """N of `plain_crop`, or None."""
    if n_out % 2 or n_out == n_in:
        return None
    rows = cosines(n_out // 2 * np.arange(n_out), n_out)
    matrix = np.outer(rows, sines(n_out // 2 * np.arange(n_in), n_in)) / n_in
    samples = window_samples(window, n_in, n_out)
    return matrix * (samples[-1] if samples else 1.0) * _scale(n_in, n_out, norm)


def _scale(n_in, n_out, norm):
    return np.sqrt(n_in / n_out) if norm == "ortho" else 1.0


def _mirrored(n_in, n_out, window, norm):
    """A J of `plain_crop`."""
    matrix = axis_matrix(n_in, n_out, "average", norm, window)
    return (np.eye(n_in) if matrix is None else matrix)[:, -np.arange(n_in) % n_in]
