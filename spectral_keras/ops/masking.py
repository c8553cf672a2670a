"""Multiplying the spectrum of images by a real mask: y = Re F^-1(mask * F(x))."""

import functools
from typing import Any

import keras
import numpy as np
from keras import ops

from spectral_keras.ops.custom_gradient import custom_gradient
from spectral_keras.ops.dft import cosines, interleaved_dft, sines
from spectral_keras.ops.fft import irfft2_last, rfft2_last
from spectral_keras.ops.separable import apply_separable
from spectral_keras.ops.symmetry import half_spectrum_multiplicity, hermitian_symmetrize
from spectral_keras.ops.validation import (
    check_choice,
    check_data_format,
    check_float_images,
    static_spatial_shape,
)

__all__ = ["IMPLEMENTATIONS", "apply_mask", "choose_implementation", "filter_by_matmul"]

IMPLEMENTATIONS = ("auto", "fft", "matmul")

# "auto" multiplies by matrices up to this size and from this many channels on; elsewhere the FFT
# wins.  Processor time of both, forward and backward on TensorFlow: 143 to 102 ms at
# [128,32,32,64], equal at [64,32,32,16], 32 to 38 ms at [16,48,48,64], 7 to 9 ms at [64,32,32,8].
_MATMUL_MAX_SIZE = 40
_MATMUL_MIN_CHANNELS = 16

# With fewer channels, channels-last products run over too few numbers side by side: transposing
# to channels first is faster.
_FEW_CHANNELS = 8


def choose_implementation(height: int, width: int, channels: int) -> Any:
    """The faster of "fft" and "matmul" for images of a size."""
    small = max(height, width) <= _MATMUL_MAX_SIZE
    return "matmul" if small and channels >= _MATMUL_MIN_CHANNELS else "fft"


def apply_mask(
    x: Any, mask: Any, *, implementation: str = "auto", data_format: str | None = None
) -> Any:
    """y = Re F^-1(mask * F(x)) over height and width.

    The result depends on the even part (mask[k] + mask[-k]) / 2 only, and so do the gradients;
    both implementations use that to work with half the spectrum.

    Args:
        x: batch of real images, rank 4, of known height and width.  "fft" computes in float32 at
            least, "matmul" in the dtype of x; the result has the dtype of x.
        mask: real tensor of shape (height, width) in unshifted order (DC at [0, 0]), or
            (height, width, channels) for both data formats.
        implementation: "fft"; "matmul", which multiplies by real DFT matrices and holds no
            complex numbers (for export); or "auto", the faster of the two for this size.
        data_format: "channels_last", "channels_first" or None for Keras' global setting.

    Returns:
        Tensor of the shape and dtype of x.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.ops import radial_band
    >>> from spectral_keras.ops.masking import apply_mask
    >>> x = np.random.default_rng(0).random((2, 8, 8, 3), dtype="float32")
    >>> means = apply_mask(x, radial_band(8, 8, 0, 1).astype("float32"))
    >>> bool(np.allclose(means, x.mean((1, 2), keepdims=True), atol=1e-6))
    True
    """
    check_choice("implementation", implementation, IMPLEMENTATIONS)
    data_format = check_data_format(data_format)
    x = ops.convert_to_tensor(x)
    check_float_images(x, "apply_mask")
    mask = ops.convert_to_tensor(mask)
    height, width = static_spatial_shape(x.shape, data_format, "apply_mask")
    channels = x.shape[-1 if data_format == "channels_last" else 1]
    if channels is None:
        raise ValueError(f"`x` needs a known number of channels. Received: shape {tuple(x.shape)}")
    if tuple(mask.shape) not in ((height, width), (height, width, channels)):
        raise ValueError(
            f"`mask` must have the shape ({height}, {width}) or ({height}, {width}, channels). "
            f"Received: mask of shape {tuple(mask.shape)}"
        )
    if implementation == "auto":
        implementation = choose_implementation(height, width, channels)
    half = hermitian_symmetrize(mask, axes=(0, 1))[:, : width // 2 + 1]
    many = channels > _FEW_CHANNELS
    if implementation == "matmul" and data_format == "channels_last" and many:
        return filter_by_matmul(x, half, data_format)
    # The FFT needs the spatial axes last, and matrix products are short with few channels there.
    if len(half.shape) == 3:
        half = ops.transpose(half, (2, 0, 1))
    if data_format == "channels_last":
        x = ops.transpose(x, (0, 3, 1, 2))
    if implementation == "fft":
        y = _mask_by_fft(x, half)
    else:
        y = filter_by_matmul(x, half, "channels_first")
    return ops.transpose(y, (0, 2, 3, 1)) if data_format == "channels_last" else y


def _mask_by_fft(x, half):
    dtype = x.dtype
    if keras.backend.standardize_dtype(dtype) not in ("float32", "float64"):
        x = ops.cast(x, "float32")
    half = ops.cast(half, x.dtype)
    apply_filter = _tf_filter if keras.backend.backend() == "tensorflow" else _filter
    return ops.cast(apply_filter(x, half), dtype)


def _filter(x, half):
    """irfft2(half * rfft2(x)) of (batch, channels, height, width) images.

    A real and even factor keeps a spectrum Hermitian, so no symmetrisation is needed.
    """
    z = rfft2_last(x)
    return irfft2_last(z * ops.cast(half, z.dtype), x.shape[-1], assume_hermitian=True)


def _tf_filter(x, half):
    """`_filter` with its closed-form gradient: the filter is its own adjoint.

    Derived step by step, the gradient would symmetrise and weight the half spectra on the way.
    """
    height, width = x.shape[-2:]
    weights = half_spectrum_multiplicity(width) / (height * width)
    shared_axes = (0, 1) if len(half.shape) == 2 else (0,)

    def apply_filter(x, half):
        z = rfft2_last(x)

        def gradient(upstream, z, half):
            upstream = rfft2_last(upstream)
            masked = upstream * ops.cast(half, upstream.dtype)
            by_x = irfft2_last(masked, width, assume_hermitian=True)
            by_half = ops.sum(ops.real(z * ops.conj(upstream)), shared_axes)
            return by_x, by_half * ops.cast(weights, by_half.dtype)

        masked = z * ops.cast(half, z.dtype)
        return irfft2_last(masked, width, assume_hermitian=True), (z, half), gradient

    return custom_gradient(apply_filter, x, half)


@functools.lru_cache(maxsize=64)
def _width_matrices(width):
    """Half spectrum of real rows and back.

    Returns:
        forward (2*m, width), the real parts of frequencies 0 ... m-1 and then the imaginary
        parts, m = width//2 + 1, unitary; inverse (width, 2*m), which counts the frequencies of
        the other half by their multiplicity.
    """
    turns = np.outer(np.arange(width // 2 + 1), np.arange(width))
    forward = np.concatenate([cosines(turns, width), -sines(turns, width)]) / np.sqrt(width)
    return forward, (forward * np.tile(half_spectrum_multiplicity(width), 2)[:, None]).T


@functools.lru_cache(maxsize=64)
def _height_matrix(height):
    """Unitary DFT of complex columns: orthogonal, its transpose is the inverse."""
    return interleaved_dft(np.arange(height), height) / np.sqrt(height)


def filter_by_matmul(x: Any, half: Any, data_format: str, imaginary: Any = None) -> Any:
    """irfft2(half * rfft2(x)) without complex numbers.

    Real matrix products along width, then height, then back; no transposes.

    The product along the width gives rows of (re, im) x m numbers for each image row: read as
    2*height rows of m, with real and imaginary rows in turn, they are the input of the product
    along the height as they lie in memory.
    """
    channels_last = data_format == "channels_last"
    height, width, channels = x.shape[1:] if channels_last else (*x.shape[2:], x.shape[1])
    m = width // 2 + 1
    forward, inverse = _width_matrices(width)
    column = _height_matrix(height)
    factors = [ops.cast(part, x.dtype) for part in (half, imaginary) if part is not None]
    if channels_last:
        factors = [ops.reshape(part, (height, 1, m, -1)) for part in factors]
        stacked = (-1, 2 * height, m, channels)
        parts = (-1, height, 2, m, channels)
        lines = (-1, height, 2 * m, channels)
    else:
        factors = [ops.reshape(part, (-1, height, 1, m)) for part in factors]
        stacked = (-1, channels, 2 * height, m)
        parts = (-1, channels, height, 2, m)
        lines = (-1, channels, height, 2 * m)
    z = apply_separable(x, None, forward, data_format)
    z = apply_separable(ops.reshape(z, stacked), column, None, data_format)
    z = ops.reshape(z, parts)
    if imaginary is None:
        z = z * factors[0]
    else:
        real, imag = (z[:, :, :1], z[:, :, 1:]) if channels_last else (z[..., :1, :], z[..., 1:, :])
        turned = ops.concatenate([-imag, real], 2 if channels_last else 3)
        z = z * factors[0] + turned * factors[1]
    z = apply_separable(ops.reshape(z, stacked), column.T, None, data_format)
    return apply_separable(ops.reshape(z, lines), None, inverse, data_format)
