"""Spectral pooling whose size follows a trainable stride (Riad et al. 2022, arXiv 2202.01653).

An axis of n values and stride s: the spectrum is multiplied by a ramp, W(k) =
clip((R + c - |k|) / R, 0, 1) with c = n / (2 s), and cropped to where W > 0.  The crop has no
gradient, the ramp has.  As W is real, and one factor for each axis, all of it is a matrix an axis.
"""

import functools
import math
from typing import Any

import keras
import numpy as np
from keras import ops

from spectral_keras.ops.custom_gradient import custom_gradient
from spectral_keras.ops.dft import real_basis
from spectral_keras.ops.resize import nyquist_weight
from spectral_keras.ops.separable import apply_separable
from spectral_keras.ops.unknown_size import apply_matrices, resampling_matrix_of, sizes_of

__all__ = ["initial_size", "learned_size", "passband", "pool_with_passbands", "ramp"]


def passband(stride: Any, n: Any, bins: float) -> Any:
    """c = n / (2 s), with s kept in [n/(n - R), n/2].

    The lower limit leaves half the ramp inside the spectrum, the upper one two values of the map.
    Beyond the limits the gradient is that at the limit, so that a stride comes back by itself.

    Args:
        stride: tensor of shape ().
        n: integer or scalar tensor.
        bins: R.
    """
    if isinstance(n, int):
        high = max(n / 2, 1)
        low = min(n / max(n - bins, 1), high)
    else:
        n = ops.cast(n, stride.dtype)
        high = ops.maximum(n / 2, 1)
        low = ops.minimum(n / ops.maximum(n - bins, 1), high)
    low, high = (ops.convert_to_tensor(limit, dtype=stride.dtype) for limit in (low, high))
    # Not `ops.maximum`, which rounds float64 to float32 on PyTorch.
    limited = ops.where(stride < low, low, ops.where(stride > high, high, stride))
    return n / (2 * (stride + ops.stop_gradient(limited - stride)))


def learned_size(passband: Any, n: Any, bins: float) -> Any:
    """2 K + 1, at most n, with K the last frequency of n values at which the ramp is not 0.

    Returns:
        An integer, or a scalar tensor in a graph of TensorFlow.

    Raises:
        ValueError: in a compiled function of JAX.
    """
    kept = ops.cast(ops.ceil(passband + bins), "int32") - 1
    size = ops.minimum(2 * ops.minimum(kept, n // 2) + 1, n)
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return int(size) if tf.executing_eagerly() else size
    if backend == "jax":
        import jax

        if isinstance(size, jax.core.Tracer):
            raise ValueError(
                "The output size of DiffStride follows its strides, which a compiled function of "
                "JAX cannot have: give `output_size`, an integer, a pair or 'initial'."
            )
    return int(size)


def initial_size(stride: float, n: Any, bins: float) -> Any:
    """`learned_size` of a stride that is a number: an integer where n is one, in graphs too.

    >>> from spectral_keras.ops.learned_stride import initial_size
    >>> initial_size(2.0, 32, 4.0)
    23
    """
    if not isinstance(n, int):
        return learned_size(passband(ops.convert_to_tensor(stride, "float32"), n, bins), n, bins)
    # In float32, as the weights are.
    high = max(n / 2, 1)
    limits = np.float32(min(n / max(n - bins, 1), high)), np.float32(high)
    half = np.float32(n) / (2 * np.clip(np.float32(stride), *limits))
    return min(2 * min(math.ceil(half + np.float32(bins)) - 1, n // 2) + 1, n)


def ramp(frequency: Any, passband: Any, bins: float) -> Any:
    """W at frequencies >= 0, a tensor of the passband's type."""
    value = (bins + passband - frequency) / bins
    # Not `ops.clip`, whose gradient at the ends of the ramp depends on the backend.
    return ops.where(value < 1, ops.relu(value), ops.ones_like(value))


@functools.lru_cache(maxsize=64)
def _bases(n_in, n_out, norm, dtype):
    """(out, into, frequency): the pooling of one axis is out' diag(W(frequency)) into."""
    basis, frequency = real_basis(n_in)
    factors = np.full((n_out, 1), np.sqrt(n_out / n_in) if norm == "mean" else 1.0)
    if n_out % 2 == 0 and n_out < n_in:
        # From the unit vector of frequency n_out/2, one of a pair, to the one of Nyquist.
        factors[-1] *= np.sqrt(2) * nyquist_weight(n_in, n_out, "average")
    arrays = (real_basis(n_out)[0] * factors, basis[:n_out], frequency[:n_out])
    return tuple(np.ascontiguousarray(array, dtype=dtype) for array in arrays)


def _matrix(n_in, n_out, passband, bins, norm):
    """The pooling of one axis, differentiable by the passband."""
    dtype = keras.backend.standardize_dtype(passband.dtype)
    out, into, k = (ops.convert_to_tensor(array) for array in _bases(n_in, n_out, norm, dtype))
    return (ops.transpose(out) * ramp(k, passband, bins)) @ into


def _rows_on_the_ramp(n_in, n_out, passband, bins, norm):
    """The rows of `_bases` at which W has a gradient, and that gradient.

    At most ceil(bins) frequencies c < k < c + R, of two rows 2k - 1 and 2k each.
    """
    dtype = keras.backend.standardize_dtype(passband.dtype)
    out, into, k = _bases(n_in, n_out, norm, dtype)
    rows = np.arange(min(2 * math.ceil(bins), n_out), dtype="int32")
    rows = rows + ops.minimum(2 * ops.cast(ops.floor(passband), "int32") + 1, n_out - len(rows))
    out, into, k = (ops.take(array, rows, axis=0) for array in (out, into, k))
    on_it = ops.logical_and(k > passband, k < passband + bins)
    return out, into, ops.cast(on_it, dtype) / bins


def _pool_tensorflow(x, sizes, passbands, bins, norm, data_format):
    """`apply_separable` by both matrices, with a gradient that forms no gradient of a matrix.

    <g, dM/dc x> is a sum over the few frequencies on the ramp, so that the strides cost little
    beside the maps.
    """
    axes = [-3, -2] if data_format == "channels_last" else [-2, -1]

    def pool(x, *passbands):
        matrices = [_matrix(*size, c, bins, norm) for size, c in zip(sizes, passbands, strict=True)]
        inner = apply_separable(x, None, matrices[1], data_format)
        saved = (x, inner, *matrices, *passbands)
        return apply_separable(inner, matrices[0], None, data_format), saved, gradient

    def gradient(upstream, x, inner, matrix_h, matrix_w, *passbands):
        inner_upstream = apply_separable(upstream, ops.transpose(matrix_h), None, data_format)
        by_x = apply_separable(inner_upstream, None, ops.transpose(matrix_w), data_format)
        pairs = [(upstream, inner), (inner_upstream, x)]
        by_passband = []
        for axis, ((g, z), size, c) in enumerate(zip(pairs, sizes, passbands, strict=True)):
            out, into, slope = _rows_on_the_ramp(*size, c, bins, norm)
            g, z = (
                apply_separable(t, *((None, rows) if axis else (rows, None)), data_format)
                for t, rows in ((g, out), (z, into))
            )
            others = [i for i in range(4) if i != axes[axis] + 4]
            products = ops.sum(ops.cast(g, c.dtype) * ops.cast(z, c.dtype), others)
            by_passband.append(ops.sum(products * slope))
        return by_x, *by_passband

    return custom_gradient(pool, x, *passbands)


def pool_with_passbands(
    x: Any, passbands: Any, output_size: Any, bins: float, norm: str, data_format: str
) -> Any:
    """Multiplies the spectrum by the ramps and crops it, differentiable by both arguments.

    Args:
        x: float images of rank 4.
        passbands: pair of scalar tensors.
        output_size: pair of integers or scalar tensors, at most the images' size.
        bins: R.
        norm: "mean" or "ortho".

    Returns:
        Tensor of x's dtype.
    """
    double = keras.backend.standardize_dtype(x.dtype) == "float64"
    passbands = [ops.cast(c, "float64" if double else "float32") for c in passbands]
    sizes = list(zip(sizes_of(x, data_format), output_size, strict=True))
    if all(isinstance(n, int) for axis in sizes for n in axis):
        if keras.backend.backend() == "tensorflow":
            return _pool_tensorflow(x, sizes, passbands, bins, norm, data_format)
        matrix_h, matrix_w = (
            _matrix(*axis, c, bins, norm) for axis, c in zip(sizes, passbands, strict=True)
        )
        return apply_separable(x, matrix_h, matrix_w, data_format, trainable=True)
    matrix_h, matrix_w = (
        resampling_matrix_of(
            n_in,
            n_out,
            (0.5, 0.5),
            norm,
            window=lambda k, *_, c=c: ramp(k, ops.cast(c, "float64"), bins),
        )
        for (n_in, n_out), c in zip(sizes, passbands, strict=True)
    )
    return apply_matrices(x, matrix_h, matrix_w, data_format)
