"""Resampling of images by cropping or zero-padding their spectrum."""

import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from spectral_keras.ops.dft import cosines
from spectral_keras.ops.fft import irfft2_last, rfft2_last
from spectral_keras.ops.frequencies import signed_frequencies
from spectral_keras.ops.separable import apply_separable
from spectral_keras.ops.symmetry import hermitian_symmetrize
from spectral_keras.ops.unknown_size import apply_matrices, resampling_matrix_of, sizes_of
from spectral_keras.ops.validation import (
    check_choice,
    check_data_format,
    check_float_images,
    check_positive_int,
    check_size_pair,
    spatial_shape,
)

__all__ = [
    "IMPLEMENTATIONS",
    "NORMS",
    "NYQUIST_RULES",
    "Resize",
    "axis_matrix",
    "choose_implementation",
    "nyquist_weight",
    "resampling_matrix",
    "resize",
    "resize_by_fft",
    "resize_of_unknown_size",
    "spectral_resize",
    "window_masks",
    "window_samples",
]

NYQUIST_RULES = ("average", "sum", "isometric", "drop")
NORMS = ("mean", "ortho")
IMPLEMENTATIONS = ("auto", "matmul", "fft")

_SHRINKING = {"average": 0.5, "sum": 1.0, "isometric": np.sqrt(0.5), "drop": 0.0}
_ENLARGING = {"average": 0.5, "sum": 0.5, "isometric": np.sqrt(0.5), "drop": 0.0}


def nyquist_weight(n_in: int, n_out: int, nyquist: str) -> float:
    """The factor of both Nyquist bins of the smaller of two sizes, see `spectral_resize`."""
    return (_SHRINKING if n_out < n_in else _ENLARGING)[nyquist]


def resampling_matrix(
    n_in: int,
    n_out: int,
    nyquist: str = "average",
    norm: str = "mean",
    window: tuple[float, ...] | None = None,
) -> np.ndarray:
    """The real matrix that resamples n_in values to n_out through the DFT.

    With n = min(n_in, n_out), entry [p, m] is

        (1 + 2 sum_{0 < k < n/2} cos(2 pi k (p/n_out - m/n_in))
           + 2 w cos(pi n p/n_out) cos(pi n m/n_in)  if n is even) / n_in

    times sqrt(n_in/n_out) for norm "ortho".  Equal sizes give the identity: w is then 1/2.

    Args:
        n_in, n_out: sizes, any positive integers.
        nyquist: "average", "sum", "isometric" or "drop", which sets w, see `spectral_resize`.
        norm: "mean" (rows sum to 1) or "ortho".
        window: None, or n//2 + 1 factors of the frequencies 0 ... n//2.

    Returns:
        Read-only float64 array of shape (n_out, n_in).

    Example:

    >>> import numpy as np
    >>> from spectral_keras.ops import resampling_matrix
    >>> matrix = resampling_matrix(6, 4)
    >>> matrix.shape, bool(np.allclose(matrix.sum(axis=1), 1))
    ((4, 6), True)
    """
    n_in = check_positive_int("n_in", n_in)
    n_out = check_positive_int("n_out", n_out)
    check_choice("nyquist", nyquist, NYQUIST_RULES)
    check_choice("norm", norm, NORMS)
    return _resampling_matrix(n_in, n_out, nyquist, norm, window)


@functools.lru_cache(maxsize=256)
def _resampling_matrix(n_in, n_out, nyquist, norm, window):
    if n_in == n_out and window is None:
        matrix = np.eye(n_in)
    else:
        # All angles as integers over the common period n_in * n_out: exact for any size.
        period = n_in * n_out
        difference = n_in * np.arange(n_out)[:, None] - n_out * np.arange(n_in)
        n = min(n_in, n_out)
        factors = window or (1.0,) * (n // 2 + 1)
        matrix = np.full((n_out, n_in), factors[0])
        for k in range(1, (n + 1) // 2):
            matrix += 2 * factors[k] * cosines(k * difference, period)
        if n % 2 == 0:
            rows = cosines(n // 2 * np.arange(n_out), n_out)
            columns = cosines(n // 2 * np.arange(n_in), n_in)
            weight = nyquist_weight(n_in, n_out, nyquist) if n_in != n_out else 0.5
            matrix += 2 * weight * factors[-1] * np.outer(rows, columns)
        matrix /= n_in
        if norm == "ortho":
            matrix *= np.sqrt(n_in / n_out)
    matrix.flags.writeable = False
    return matrix


def window_samples(window: Any, n_in: int, n_out: int) -> tuple[float, ...] | None:
    """A window at the frequencies 0 ... n//2 of the smaller of two sizes n.

    Args:
        window: None, or a function (frequency, size_in, size_out) of a float64 array.
    """
    if window is None:
        return None
    frequency = np.arange(min(n_in, n_out) // 2 + 1, dtype="float64")
    samples = np.asarray(window(frequency, n_in, n_out), dtype="float64")
    if samples.shape != frequency.shape or not np.isfinite(samples).all():
        raise ValueError(
            f"A window must give {len(frequency)} finite numbers for {len(frequency)} frequencies. "
            f"Received: {samples.tolist()!r}"
        )
    return tuple(samples.tolist())


def axis_matrix(n_in: Any, n_out: Any, nyquist: str, norm: str, window: Any = None) -> Any:
    """`resampling_matrix` of a window that is a function; None where it is the identity."""
    if n_in == n_out and window is None:
        return None
    return resampling_matrix(n_in, n_out, nyquist, norm, window_samples(window, n_in, n_out))


def spectral_resize(
    x: Any,
    output_size: int | Sequence[int],
    *,
    nyquist: str = "average",
    norm: str = "mean",
    implementation: str = "auto",
    data_format: str | None = None,
) -> Any:
    """Resizes images by cropping their spectrum or padding it with zeros, each axis by itself.

    Shrinking keeps the frequencies |k| < n/2 of the output size n; enlarging keeps all and adds
    zeros beyond.  Both are the band-limited interpolation of a periodic signal.  What is left to
    choose is the Nyquist frequency of the smaller of the two sizes if that is even, a single bin
    that stands for +n/2 and -n/2, two different bins of the larger size.  Shrinking sets it to
    w (F[n/2] + F[-n/2]), enlarging sets both bins to w F[n/2]:

    | `nyquist`   | w, shrinking | w, enlarging | property                                       |
    |-------------|--------------|--------------|------------------------------------------------|
    | "average"   | 1/2          | 1/2          | real part of the plain crop; enlarging is the  |
    |             |              |              | adjoint of shrinking and scipy.signal.resample |
    | "sum"       | 1            | 1/2          | scipy.signal.resample both ways: the signal is |
    |             |              |              | sampled; shrinking undoes enlarging            |
    | "isometric" | 1/sqrt(2)    | 1/sqrt(2)    | with "ortho" P P^T = identity: shrinking is    |
    |             |              |              | adjoint to enlarging and undoes it             |
    | "drop"      | 0            | 0            | frequencies below Nyquist only                 |

    An axis that keeps its size is left alone.  The source of the operation is Rippel, Snoek and
    Adams 2015 (arXiv 1506.03767), section 3.1 and Algorithm 1.

    Args:
        x: float tensor of shape (batch, height, width, channels), or (batch, channels, height,
            width) with `data_format="channels_first"`; also symbolic, in a functional model.
        output_size: integer or pair (height, width), smaller or larger than the input.
        nyquist: "average", "sum", "isometric" or "drop".
        norm: "mean" keeps a constant image as it is; "ortho" is the pair of unitary transforms,
            which scales the mean by sqrt(H W / (H_out W_out)).
        implementation: "matmul", one real matrix an axis; "fft"; or "auto", which takes the
            faster one for the sizes at hand.  They agree to rounding errors.
        data_format: "channels_last", "channels_first" or None for Keras' global setting.

    Returns:
        Tensor of x's dtype.

    Raises:
        ValueError: integer images, or an argument out of its range.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.ops.resize import spectral_resize
    >>> x = np.arange(16.0, dtype="float32").reshape(1, 4, 4, 1)
    >>> np.asarray(spectral_resize(x, 2))[0, :, :, 0].round(4).tolist()
    [[5.0, 6.0], [9.0, 10.0]]
    >>> tuple(spectral_resize(x, (3, 8)).shape)
    (1, 3, 8, 1)
    """
    output_size = check_size_pair("output_size", output_size)
    check_choice("nyquist", nyquist, NYQUIST_RULES)
    check_choice("norm", norm, NORMS)
    check_choice("implementation", implementation, IMPLEMENTATIONS)
    data_format = check_data_format(data_format)
    if isinstance(x, keras.KerasTensor):
        return Resize(output_size, nyquist, norm, implementation, data_format)(x)
    x = ops.convert_to_tensor(x)
    check_float_images(x, "spectral_resize")
    spatial_shape(x.shape, data_format, "spectral_resize")
    return resize(x, output_size, nyquist, norm, implementation, data_format)


def resize(
    x: Any,
    output_size: Any,
    nyquist: str,
    norm: str,
    implementation: str,
    data_format: str,
    windows: Any = (None, None),
) -> Any:
    """`spectral_resize` of a tensor and checked arguments, with windows.

    Args:
        windows: pair of None or a function (frequency, size_in, size_out), see
            `spectral_keras.windows`.
    """
    size = spatial_shape(x.shape, data_format, "spectral_resize")
    if None in size:
        return resize_of_unknown_size(x, output_size, nyquist, norm, data_format, windows=windows)
    if choose_implementation(implementation, size, output_size) == "fft":
        return resize_by_fft(
            x, output_size, nyquist, norm, data_format, window_masks(windows, size, output_size)
        )
    matrix_h, matrix_w = (
        axis_matrix(n_in, n_out, nyquist, norm, window)
        for n_in, n_out, window in zip(size, output_size, windows, strict=True)
    )
    return apply_separable(x, matrix_h, matrix_w, data_format)


def window_masks(windows: Any, size: Any, output_size: Any) -> Any:
    """Windows as the `masks` of `resize_by_fft`; None without any."""
    if windows == (None, None):
        return None
    samples = [
        np.array(window_samples(window, n_in, n_out) or (1.0,) * (min(n_in, n_out) // 2 + 1))
        for window, n_in, n_out in zip(windows, size, output_size, strict=True)
    ]
    return samples[0][np.abs(signed_frequencies(output_size[0]))], samples[1]


@keras.saving.register_keras_serializable(package="spectral_keras")
class Resize(keras.Operation):
    """`spectral_resize` of a symbolic tensor, a step of a functional model."""

    def __init__(
        self,
        output_size: int | Sequence[int],
        nyquist: str,
        norm: str,
        implementation: str,
        data_format: str | None,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.output_size = output_size
        self.options: dict[str, Any] = {
            "nyquist": nyquist,
            "norm": norm,
            "implementation": implementation,
            "data_format": data_format,
        }

    def call(self, x: Any) -> Any:
        return spectral_resize(x, self.output_size, **self.options)

    def compute_output_spec(self, x: Any) -> Any:
        spatial_shape(x.shape, self.options["data_format"], "spectral_resize")
        check_float_images(x, "spectral_resize")
        shape = list(x.shape)
        first = 1 if self.options["data_format"] == "channels_last" else 2
        shape[first : first + 2] = check_size_pair("output_size", self.output_size)
        return keras.KerasTensor(shape, dtype=x.dtype)

    def get_config(self) -> dict[str, Any]:
        return {"output_size": self.output_size, **self.options, "name": self.name}


def resize_of_unknown_size(
    x: Any,
    output_size: Any,
    nyquist: str,
    norm: str,
    data_format: str,
    side: Any = None,
    windows: Any = (None, None),
) -> Any:
    """`spectral_resize`, or with a `side` `frequency_dropout`, by matrices made in the graph.

    Args:
        output_size: pair of integers or scalar tensors.
        side: None, or a pair of integer tensors for height and width.
        windows: as in `resize`.
    """
    weights = _SHRINKING[nyquist], _ENLARGING[nyquist]
    matrix_h, matrix_w = (
        resampling_matrix_of(n_in, n_out, weights, norm, one, window)
        for n_in, n_out, one, window in zip(
            sizes_of(x, data_format), output_size, side or (None, None), windows, strict=True
        )
    )
    return apply_matrices(x, matrix_h, matrix_w, data_format)


def choose_implementation(implementation: str, size: Any, output_size: Any) -> Any:
    """ "matmul" or "fft": resolves "auto" by the multiplications for each pixel.

    Args:
        implementation: "auto", "matmul" or "fft".
        size, output_size: pairs (height, width).
    """
    if implementation != "auto":
        return implementation
    (height, width), (rows, columns) = size, output_size
    products = min(height * columns * (width + rows), rows * width * (height + columns))
    if (height, width) == (2 * rows, 2 * columns):
        products *= _HALVING_COST
    return "fft" if products > _CROSSOVER * (height * width + rows * columns) else "matmul"


# Measured with TensorFlow on two cores, 16 channels: the FFT wins from about 400 -> 400, 490 -> 440
# and 770 -> 385 on.  Halving an axis saves multiplications, see `separable.py`.
_CROSSOVER = 430
_HALVING_COST = 0.6


def resize_by_fft(
    x: Any,
    output_size: Any,
    nyquist: str,
    norm: str,
    data_format: str | None,
    masks: Any = None,
) -> Any:
    """`spectral_resize` through `rfft2`, in float32 or float64, cast back to x's dtype.

    Args:
        masks: None, or a pair of real tensors (rows, columns) that multiply the resized spectrum,
            of shapes (..., height) and (..., width//2 + 1) with the output's height and width,
            and leading axes (batch, 1) where each sample has its own.
    """
    dtype = keras.backend.standardize_dtype(x.dtype)
    if data_format == "channels_last":
        x = ops.transpose(x, (0, 3, 1, 2))
    (height, width), (rows, columns) = x.shape[2:4], output_size
    z = rfft2_last(x, norm="forward" if norm == "mean" else "ortho")
    # Columns first: fewer numbers are left when the rows are put together.
    z = _resize_half_axis(z, width, columns, nyquist)
    z = _resize_full_axis(z, height, rows, nyquist)
    if masks is not None:
        mask = ops.expand_dims(masks[0], -1) * ops.expand_dims(masks[1], -2)
        z = z * ops.cast(mask, z.dtype)
    # Whatever was cut or weighted above keeps the symmetry of a real image's spectrum.
    x = irfft2_last(
        z, columns, norm="forward" if norm == "mean" else "ortho", assume_hermitian=True
    )
    x = ops.cast(x, dtype)
    return ops.transpose(x, (0, 2, 3, 1)) if data_format == "channels_last" else x


def _resize_half_axis(z, n_in, n_out, nyquist):
    """Crops or pads the last axis of a half spectrum: frequencies 0 ... n//2 of an image."""
    if n_in == n_out:
        return z
    n = min(n_in, n_out)
    below = (n + 1) // 2
    parts = [z[..., :below]]
    if n % 2 == 0:
        weight = nyquist_weight(n_in, n_out, nyquist)
        column = z[..., below : below + 1]
        if n_out < n_in:
            # w (F[., n/2] + F[., -n/2]); the second is the conjugate of the first at rows -k.
            column = 2 * hermitian_symmetrize(column, axes=(-2,))
        parts.append(column * weight)
    missing = n_out // 2 + 1 - (below + len(parts) - 1)
    z = ops.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
    return _pad(z, -1, missing)


def _resize_full_axis(z, n_in, n_out, nyquist):
    """Crops or pads the second-last axis, which holds positive and negative frequencies."""
    if n_in == n_out:
        return z
    n = min(n_in, n_out)
    below = (n + 1) // 2
    first = [z[..., :below, :]]
    last = [z[..., n_in - below + 1 :, :]] if below > 1 else []
    if n % 2 == 0:
        weight = nyquist_weight(n_in, n_out, nyquist)
        row = z[..., n // 2 : n // 2 + 1, :]
        if n_out < n_in:
            row = row + z[..., n_in - n // 2 : n_in - n // 2 + 1, :]
            first.append(row * weight)
        else:
            first.append(row * weight)
            last.insert(0, row * weight)
    if n_out > n_in:
        used = sum(part.shape[-2] for part in first + last)
        first = [_pad(ops.concatenate(first, axis=-2), -2, n_out - used)]
    parts = first + last
    return ops.concatenate(parts, axis=-2) if len(parts) > 1 else parts[0]


def _pad(z, axis, amount):
    """Zeros at the end of one axis."""
    if amount == 0:
        return z
    widths = [(0, 0)] * len(z.shape)
    widths[axis] = (0, amount)
    return ops.pad(z, widths)
