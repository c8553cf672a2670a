"""The convolution theorem as matrix products: DFT, product for each frequency, inverse DFT.

A convolution of images is, for each frequency (f, g), a product of a vector of input channels with
a matrix [channels, filters] of kernel coefficients:

    Y[f, g] = X[f, g] @ conj(K[f, g])        (the conjugate makes it Keras' cross-correlation)

Everything here is arranged for that product, the bulk of the work, to be one batched product of
real matrices: complex numbers are pairs of reals side by side in the channel axis,

    [Yr, Yi] = [Xr, Xi] @ [[Kr, Ki'], [-Ki', Kr]],     Ki' = -Im K,

with the frequency as the leading axis.  The signals are real, so the vertical (or the horizontal)
frequency runs over its non-negative half only.  A DFT is a small real matrix for each axis
("matmul"), which needs no padding to a convenient size, leaves out what is not asked for (strides,
cropped frequencies), has a cheap exact gradient, and contains no complex tensor; or the backend's
FFT ("fft"), for large maps.
"""

import dataclasses
import functools
from typing import Any

import keras
import numpy as np
from keras import ops

from spectral_keras.ops.custom_gradient import custom_gradient
from spectral_keras.ops.dft import cosines, sines
from spectral_keras.ops.fft import irfft2_last, rfft2_last, to_complex
from spectral_keras.ops.symmetry import hermitian_symmetrize

__all__ = ["FourierAxis", "convolve_by_fft", "convolve_by_matmul", "first_part"]


@dataclasses.dataclass(frozen=True)
class FourierAxis:
    """One spatial axis of a convolution that is carried out in the frequency domain.

    Output sample p is the value of the band-limited signal

        y(t) = scale * sum over f of weight(f) * X[f] * conj(K[f]) * exp(2 pi i f t)

    at t = p * step / step_period, where X is the DFT of length `period` of the zero-padded input
    and conj(K[f]) = sum over j of kernel[j] exp(2 pi i f (dilation * j - before) / period).

    Attributes:
        size, taps, size_out: lengths of input, kernel and output.
        dilation, before: tap j of output sample p multiplies the input sample
            stride * p + dilation * j - before.
        period: length of the DFT.
        top: highest frequency; -top ... top are used.
        step, step_period: distance of two output samples, as a fraction of the period.
        edge_weight: None, or the weight of the two bins +top and -top that crop to one Nyquist bin.
        scale: factor of the inverse transform.
    """

    size: int
    taps: int
    size_out: int
    dilation: int
    before: int
    period: int
    top: int
    step: int
    step_period: int
    edge_weight: float | None
    scale: float

    @property
    def half(self) -> np.ndarray:
        """The non-negative frequencies."""
        return np.arange(self.top + 1)

    @property
    def full(self) -> np.ndarray:
        """All frequencies, unshifted order; a Nyquist frequency of `period` is there once."""
        lowest = -self.top + 1 if 2 * self.top == self.period else -self.top
        return np.concatenate([self.half, np.arange(lowest, 0)])

    def weights(self, frequencies: np.ndarray, folded: bool) -> np.ndarray:
        """Weight of each frequency in the inverse transform.

        Args:
            frequencies: integer array.
            folded: whether each one stands for its negative too.
        """
        weights = np.ones(len(frequencies))
        edge = np.abs(frequencies) == self.top
        if self.edge_weight is not None:
            weights[edge] = self.edge_weight
        if folded:
            alone = (frequencies == 0) | (2 * frequencies == self.period)
            weights[~alone] *= 2
        return self.scale * weights


def _read_only(matrix):
    matrix = np.ascontiguousarray(matrix)
    matrix.flags.writeable = False
    return matrix


def _interleave(real, imaginary):
    """Rows real[0], imaginary[0], real[1], ..."""
    return np.stack([real, imaginary], axis=1).reshape(2 * len(real), -1)


@functools.lru_cache(maxsize=256)
def _input_half(axis):
    """DFT of real samples, [(f, part), size]."""
    turns = np.outer(axis.half, np.arange(axis.size))
    return _read_only(_interleave(cosines(turns, axis.period), -sines(turns, axis.period)))


@functools.lru_cache(maxsize=256)
def _input_full(axis):
    """DFT of complex samples, [(f, part), (part, size)]."""
    turns = np.outer(axis.full, np.arange(axis.size))
    cos, sin = cosines(turns, axis.period), sines(turns, axis.period)
    return _read_only(_interleave(np.hstack([cos, sin]), np.hstack([-sin, cos])))


def _kernel_turns(axis, frequencies):
    return np.outer(frequencies, axis.dilation * np.arange(axis.taps) - axis.before)


@functools.lru_cache(maxsize=256)
def _kernel_first(axis, folded):
    """Conjugate DFT of real taps, [(f, part), taps]."""
    turns = _kernel_turns(axis, axis.half if folded else axis.full)
    return _read_only(_interleave(cosines(turns, axis.period), sines(turns, axis.period)))


@functools.lru_cache(maxsize=256)
def _kernel_second(axis, folded):
    """Conjugate DFT of complex taps, conjugated once more: (Re, -Im), [(f, part), (part, taps)]."""
    turns = _kernel_turns(axis, axis.half if folded else axis.full)
    cos, sin = cosines(turns, axis.period), sines(turns, axis.period)
    return _read_only(_interleave(np.hstack([cos, -sin]), np.hstack([-sin, -cos])))


def _output_turns(axis, frequencies):
    return np.outer(axis.step * np.arange(axis.size_out), frequencies)


@functools.lru_cache(maxsize=256)
def _output_full(axis):
    """Inverse DFT to complex samples, [(part, size_out), (f, part)]."""
    turns, weights = _output_turns(axis, axis.full), axis.weights(axis.full, folded=False)
    cos, sin = cosines(turns, axis.step_period), sines(turns, axis.step_period)
    cos, sin = cos * weights, sin * weights
    real = np.stack([cos, -sin], axis=2)
    imaginary = np.stack([sin, cos], axis=2)
    return _read_only(np.stack([real, imaginary]).reshape(2 * axis.size_out, -1))


@functools.lru_cache(maxsize=256)
def _output_half(axis):
    """Inverse DFT of the non-negative half to real samples, [size_out, (f, part)]."""
    turns, weights = _output_turns(axis, axis.half), axis.weights(axis.half, folded=True)
    cos, sin = cosines(turns, axis.step_period), sines(turns, axis.step_period)
    return _read_only(np.stack([cos * weights, -sin * weights], axis=2).reshape(len(turns), -1))


def first_part(x: Any, size: int, axis: int) -> Any:
    """x[:size] along an axis.

    A split, not a slice: the gradient of a split is a concatenation, while TensorFlow's
    gradient of a slice is ten times slower.
    """
    return x if x.shape[axis] == size else ops.split(x, [size], axis=axis)[0]


def _times(matrix, x):
    """matrix @ x with a constant matrix, in x's dtype."""
    dtype = keras.backend.standardize_dtype(x.dtype)
    # NumPy has no bfloat16: rounded by the backend, from float32.
    plain = "float64" if dtype == "float64" else "float32"
    matrix = ops.cast(ops.convert_to_tensor(matrix.astype(plain), dtype=plain), dtype)
    # The operator: on PyTorch and JAX `keras.ops.matmul` turns float64 into float32.
    return matrix @ x


def _frequency_major(x, groups, transposition):
    """Rows of pairs to the layout of the product, [f, batch, (part, channel)].

    With groups it is [f, group, batch, (part, channel of the group)].

    Args:
        x: [batch, f, part, channel], or in the order that `transposition` undoes.
        transposition: the axes batch, f, part, channel in x.
    """
    batch, f, part, channel = transposition
    frequencies, channels = x.shape[f], x.shape[channel]
    if groups == 1:
        x = ops.transpose(x, (f, batch, part, channel))
        return ops.reshape(x, (frequencies, -1, 2 * channels))
    x = ops.transpose(x, (f, channel, batch, part))
    x = ops.reshape(x, (frequencies, groups, channels // groups, -1, 2))
    x = ops.transpose(x, (0, 1, 3, 4, 2))
    return ops.reshape(x, (frequencies, groups, -1, 2 * (channels // groups)))


def _ungroup(y, groups):
    """The product's result as [f, batch, part, filter]."""
    frequencies, width = y.shape[0], y.shape[-1] // 2
    if groups == 1:
        return ops.reshape(y, (frequencies, -1, 2, width))
    y = ops.reshape(y, (frequencies, groups, -1, 2, width))
    y = ops.transpose(y, (0, 2, 3, 1, 4))
    return ops.reshape(y, (frequencies, -1, 2, groups * width))


def _kernel_spectrum(kernel, axis_h, axis_w, groups, half_axis):
    """Kernel coefficients in the layout of the product.

    [f, (part, channel), (part, filter)], with groups [f, group, (part, channel), (part, filter)].
    """
    kh, kw, channels, filters = kernel.shape
    if groups > 1:
        kernel = ops.reshape(kernel, (kh, kw, channels, groups, filters // groups))
        kernel = ops.transpose(kernel, (0, 1, 3, 2, 4))
    filters = filters // groups
    first = _kernel_first(axis_h, half_axis == "h")
    second = _kernel_second(axis_w, half_axis == "w")
    rows = len(first) // 2
    z = _times(first, ops.reshape(kernel, (kh, -1)))
    z = ops.reshape(z, (rows, 2, kw * groups * channels, filters))
    # Split, not unstacked: LiteRT computes other numbers from an unstack with two users.
    real, imaginary = ops.split(z, 2, axis=1)
    # The second column of the 2x2 block is the first one times i, which commutes with the DFT:
    # multiplying here, before the spectrum has its full size, saves passes through memory.
    z = ops.concatenate(
        [
            ops.concatenate([real, imaginary], axis=-1),
            ops.concatenate([imaginary, -real], axis=-1),
        ],
        axis=1,
    )
    z = _times(second, ops.reshape(z, (rows, 2 * kw, -1)))
    frequencies = rows * (len(second) // 2)
    if groups == 1:
        return ops.reshape(z, (frequencies, 2 * channels, 2 * filters))
    z = ops.reshape(z, (frequencies, 2, groups, channels, 2 * filters))
    z = ops.transpose(z, (0, 2, 1, 3, 4))
    return ops.reshape(z, (frequencies, groups, 2 * channels, 2 * filters))


def convolve_by_matmul(
    x: Any, kernel: Any, axis_h: FourierAxis, axis_w: FourierAxis, groups: int = 1
) -> Any:
    """Convolution of channels-last images with DFT matrices.

    Args:
        x: [batch, height, width, channels].
        kernel: [kh, kw, channels/groups, filters], of x's dtype.
        axis_h, axis_w: `FourierAxis` of height and width.
        groups: blocks of channels with their own filters.

    Returns:
        [batch, axis_h.size_out, axis_w.size_out, filters].
    """
    height, width, channels = x.shape[1:]
    filters = kernel.shape[-1]
    rows, columns = len(axis_h.half), len(axis_w.full)
    # Height first: one wide product; the width then runs over half as many rows.
    z = _times(_input_half(axis_h), ops.reshape(x, (-1, height, width * channels)))
    z = _times(_input_full(axis_w), ops.reshape(z, (-1, 2 * width, channels)))
    z = ops.reshape(z, (-1, rows * columns, 2, channels))
    z = _frequency_major(z, groups, (0, 1, 2, 3))
    y = z @ _kernel_spectrum(kernel, axis_h, axis_w, groups, half_axis="h")
    y = ops.transpose(_ungroup(y, groups), (1, 0, 2, 3))
    y = _times(_output_full(axis_w), ops.reshape(y, (-1, 2 * columns, filters)))
    y = _times(_output_half(axis_h), ops.reshape(y, (-1, 2 * rows, axis_w.size_out * filters)))
    return ops.reshape(y, (-1, axis_h.size_out, axis_w.size_out, filters))


def convolve_by_fft(
    x: Any, kernel: Any, axis_h: FourierAxis, axis_w: FourierAxis, groups: int = 1
) -> Any:
    """As `convolve_by_matmul`, the images transformed by the backend's FFT.

    x and kernel must be float32 or float64.
    """
    spectrum = _kernel_spectrum(kernel, axis_h, axis_w, groups, half_axis="w")
    size = [(axis.size_out - 1) * axis.step + 1 for axis in (axis_h, axis_w)]
    analyze, synthesize = _analyze_by_fft, _synthesize_by_fft
    cropped = axis_h.step_period != axis_h.period or axis_w.step_period != axis_w.period
    if keras.backend.backend() == "tensorflow" and not cropped:
        analyze, synthesize = _tf_analyze_by_fft, _tf_synthesize_by_fft
    y = analyze(x, axis_h, axis_w, groups) @ spectrum
    y = synthesize(y, axis_h, axis_w, groups, *size)
    # Even a slice that takes everything costs a pass, and a slow one in the gradient.
    if max(axis_h.step, axis_w.step) > 1:
        y = y[:, :: axis_h.step, :: axis_w.step]
    return y


def _tf_analyze_by_fft(x, axis_h, axis_w, groups):
    """`_analyze_by_fft` with its gradient written out, for an uncropped spectrum.

    The gradients of a convolution are convolutions, products of spectra of real images: nothing
    in between has to be made Hermitian first.  TensorFlow's own gradients of `rfft2d`, `real` and
    `imag` need several times the memory and the time.
    """
    height, width = x.shape[1:3]

    def analyze(x):
        def gradient(upstream):
            upstream = upstream / _synthesis_weights(axis_h, axis_w, upstream)
            return _tf_synthesize_by_fft(upstream, axis_h, axis_w, groups, height, width)

        return _analyze_by_fft(x, axis_h, axis_w, groups), (), gradient

    return custom_gradient(analyze, x)


def _tf_synthesize_by_fft(y, axis_h, axis_w, groups, height, width):
    """`_synthesize_by_fft` with its gradient written out, for an uncropped spectrum."""

    def synthesize(y):
        def gradient(upstream):
            z = _tf_analyze_by_fft(upstream, axis_h, axis_w, groups)
            return z * _synthesis_weights(axis_h, axis_w, z)

        return _synthesize_by_fft(y, axis_h, axis_w, groups, height, width), (), gradient

    return custom_gradient(synthesize, y)


def _synthesis_weights(axis_h, axis_w, like):
    """Weight of each frequency of the half spectrum in the inverse transform, [f, 1, 1, ...]."""
    weights = np.outer(
        axis_h.weights(axis_h.full, folded=False), axis_w.weights(axis_w.half, folded=True)
    )
    weights = weights.reshape(-1, *[1] * (len(like.shape) - 1))
    return weights.astype(keras.backend.standardize_dtype(like.dtype))


def _analyze_by_fft(x, axis_h, axis_w, groups):
    """Images to spectra in the layout of the product."""
    z = rfft2_last(ops.transpose(x, (0, 3, 1, 2)), fft_length=(axis_h.period, axis_w.period))
    rows, columns = len(axis_h.full), len(axis_w.half)
    if columns < z.shape[-1]:
        z = z[..., :columns]
    if rows < z.shape[-2]:
        positive = len(axis_h.half)
        parts = [z[..., :positive, :], z[..., axis_h.period - (rows - positive) :, :]]
        z = ops.concatenate(parts, axis=-2)
    z = ops.stack([ops.real(z), ops.imag(z)], axis=1)
    z = ops.reshape(z, (-1, 2, x.shape[3], rows * columns))
    return _frequency_major(z, groups, (0, 3, 1, 2))


def _synthesize_by_fft(y, axis_h, axis_w, groups, height, width):
    """Products of spectra of real images back to the first height x width samples."""
    y = ops.transpose(_ungroup(y, groups), (2, 1, 3, 0))
    z = to_complex(*ops.unstack(y, axis=0))
    z = ops.reshape(z, (-1, z.shape[1], len(axis_h.full), len(axis_w.half)))
    if axis_h.edge_weight is not None:
        top = axis_h.top
        row = axis_h.edge_weight * (z[..., top : top + 1, :] + z[..., top + 1 : top + 2, :])
        z = ops.concatenate([z[..., :top, :], row, z[..., top + 2 :, :]], axis=-2)
    if axis_w.edge_weight is not None:
        # The column -top is the conjugate of the column top at rows -f.
        column = 2 * axis_w.edge_weight * hermitian_symmetrize(z[..., -1:], axes=(-2,))
        z = ops.concatenate([z[..., :-1], column], axis=-1)
    y = irfft2_last(z, axis_w.step_period, assume_hermitian=True)[..., :height, :width]
    # The transform itself divides by its lengths.
    factor = axis_h.scale * axis_h.step_period * axis_w.scale * axis_w.step_period
    return ops.transpose(y if abs(factor - 1) < 1e-12 else y * factor, (0, 2, 3, 1))
