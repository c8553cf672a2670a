"""Gradients of a convolution with fewer multiplications, where that is faster on a CPU."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from spectral_keras.ops.custom_gradient import custom_gradient
from spectral_keras.ops.processor import processor_has

__all__ = ["conv2d_by_minimal_filtering", "is_faster_by_minimal_filtering"]

# Where the polynomials are evaluated, besides infinity; few and small, for small rounding errors.
_POINTS = (0.0, 1.0, -1.0, 2.0, -0.5)
# A model of the algorithm's time, as a share of that of oneDNN's two gradients in float32, fitted
# to 21 cases: its multiplications, and its transforms, which weigh less the more channels there are
# and more the larger the maps.  Taken below `_SHARE`: oneDNN needs less time in bfloat16.
_MULTIPLICATIONS, _TRANSFORMS, _SIZE = 1.44, 15.0, 0.235
_SHARE = {"float32": 0.9, "bfloat16": 0.63}
# With fewer tiles in a batch the transforms of the kernel take longer than what they save.
_TILES = 64


class _Axis(NamedTuple):
    """An axis in tiles: transforms of the inputs, of the outputs' gradient and of the kernel."""

    inputs: np.ndarray  # (points * tiles, size)
    outputs: np.ndarray  # (points * tiles, outputs)
    kernel: np.ndarray  # (points, window)
    points: int
    tiles: int


def is_faster_by_minimal_filtering(
    x: Any, kernel: Any, strides: Sequence[int], padding: str
) -> bool:
    """Whether to take `conv2d_by_minimal_filtering` for images `x`, channels last.

    On a CPU, in float32, or bfloat16 if the processor has no AMX, at stride 1, with windows of 2 to
    5 and many channels, while a graph is built: milliseconds of both gradients of a 3x3 kernel, 128
    images, two AMD cores with AVX-512 BF16, oneDNN's kernels and this algorithm:

                                float32      bfloat16
        4x4, 256 channels       23   14      19   10
        8x8, 256 channels       81   37      58   44
        9x9, 384 channels      235  110     170  114
        16x16, 128 channels     88   59      57   59
        16x16, 192 channels    196  107     121  104
        32x32, 96 channels     202  169     124  151
        56x56, 256, 16 images  565  285     319  307
    """
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    sizes, (*window, channels, filters) = x.shape[1:3], kernel.shape
    dtype = keras.backend.standardize_dtype(x.dtype)
    if dtype not in _SHARE or None in sizes or tf.executing_eagerly():
        return False
    # Intel's units for products of matrices have an order of magnitude more of bfloat16's.
    if dtype == "bfloat16" and processor_has("amx_bf16"):
        return False
    outputs = [_count_outputs(*axis, padding)[0] for axis in zip(sizes, window, strict=True)]
    if (
        set(strides) != {1}
        or x.shape[3] != channels
        or min(outputs) < 1
        or max(window) > len(_POINTS)
        or tf.config.list_logical_devices("GPU")
    ):
        return False
    multiplications = 1.0
    for size, taps, count in zip(sizes, window, outputs, strict=True):
        axis = _plan_axis(size, taps, padding)
        multiplications *= axis.points * axis.tiles / (taps * count)
    transforms = (_TRANSFORMS + _SIZE * sum(sizes) / 2) * (1 / channels + 1 / filters)
    return _MULTIPLICATIONS * multiplications + transforms < _SHARE[dtype]


def conv2d_by_minimal_filtering(x: Any, kernel: Any, padding: str) -> Any:
    """`tf.nn.conv2d` at stride 1, whose gradients take a quarter of its multiplications.

    A convolution is a product of polynomials, and their values at a few points multiply one by one.
    Both axes are cut into tiles of m outputs; images, kernel and gradient of the outputs are
    evaluated at m + window - 1 points, which are matrices along the axes, and each point has its
    own product of matrices, over the filters for the gradient by the images, over images and tiles
    for that by the kernel.  3x3 kernels with m = 4 meet 36 products a tile in place of 144.

    The convolution itself is TensorFlow's, and so are its gradients for small batches and the one
    by bfloat16 images.  The others are computed in float32 (float64 for float64 images); their
    rounding errors, 1e-6 of their size, are six times those of sums.

    Source: Winograd, Arithmetic complexity of computations, 1980; for networks Lavin and Gray 2016
    (arXiv 1509.09308); both gradients are its transposes.

    Args:
        x: tensor of shape (batch, height, width, channels), known but for the batch.
        kernel: tensor of shape (rows, columns, channels, filters), rows and columns at most 5.
        padding: "same" or "valid".

    Returns:
        (batch, new height, new width, filters), as `keras.ops.conv`.
    """
    import tensorflow as tf

    axes = [
        _plan_axis(size, taps, padding)
        for size, taps in zip(x.shape[1:3], kernel.shape[:2], strict=True)
    ]

    def convolution(x, kernel):
        y = tf.nn.conv2d(x, kernel, 1, padding.upper())
        return y, (x, kernel), functools.partial(_gradients, axes, padding.upper())

    return custom_gradient(convolution, x, kernel)


def _gradients(axes, padding, upstream, x, kernel):
    """By the images and by the kernel.

    A choice at run time for each, as the batch may be unknown and what nobody asks for, as the
    kernel's gradient in an attack, TensorFlow removes from a graph only if it stands alone.
    """
    import tensorflow as tf

    dtype, batch, (rows, columns) = x.dtype, tf.shape(x)[0], axes
    (height, width, channels), filters = x.shape[1:], kernel.shape[3]
    precise = tf.float64 if dtype == tf.float64 else tf.float32
    enough = batch * (rows.tiles * columns.tiles) >= _TILES
    same = {"strides": [1] * 4, "padding": padding}

    def at_points(maps, row_matrix, column_matrix):
        """(points, tiles, points, tiles * images, channels)."""
        _, first, second, depth = maps.shape
        maps = tf.transpose(tf.cast(maps, precise), (1, 2, 0, 3))
        maps = _along(row_matrix, maps, (first, second * batch * depth))
        maps = _along(column_matrix, maps, (row_matrix.shape[0], second, batch * depth))
        points = rows.points, rows.tiles, columns.points, columns.tiles * batch, depth
        return tf.reshape(maps, points)

    nothing = tf.zeros((rows.points, rows.tiles, columns.points, 0, filters), precise)
    upstream_at_points = tf.cond(
        enough, lambda: at_points(upstream, rows.outputs, columns.outputs), lambda: nothing
    )

    def by_kernel():
        x_at_points = at_points(x, rows.inputs, columns.inputs)
        sums = tf.reduce_sum(tf.matmul(x_at_points, upstream_at_points, transpose_a=True), 1)
        depth = channels * filters
        sums = _along(rows.kernel.T, sums, (rows.points, columns.points * depth))
        taps = kernel.shape[0], columns.points, depth
        return tf.cast(tf.reshape(_along(columns.kernel.T, sums, taps), kernel.shape), dtype)

    def by_images():
        depth = channels * filters
        taps = kernel.shape[0], kernel.shape[1] * depth
        values = _along(rows.kernel, tf.cast(kernel, precise), taps)
        values = _along(columns.kernel, values, (rows.points, kernel.shape[1], depth))
        values = tf.reshape(values, (rows.points, 1, columns.points, channels, filters))
        maps = tf.matmul(upstream_at_points, values, transpose_b=True)
        tiles = rows.points * rows.tiles, columns.points * columns.tiles, batch * channels
        maps = _along(columns.inputs.T, maps, tiles)
        maps = _along(rows.inputs.T, maps, (tiles[0], width * batch * channels))
        maps = tf.transpose(tf.reshape(maps, (height, width, batch, channels)), (2, 0, 1, 3))
        return tf.cast(maps, dtype)

    def by_kernel_in_onednn():
        return tf.raw_ops.Conv2DBackpropFilter(
            input=x, filter_sizes=kernel.shape, out_backprop=upstream, **same
        )

    def by_images_in_onednn():
        return tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.shape(x), filter=kernel, out_backprop=upstream, **same
        )

    if dtype == tf.bfloat16:  # oneDNN's kernel is as fast here, twice as fast on few channels
        return by_images_in_onednn(), tf.cond(enough, by_kernel, by_kernel_in_onednn)
    return (
        tf.cond(enough, by_images, by_images_in_onednn),
        tf.cond(enough, by_kernel, by_kernel_in_onednn),
    )


def _along(matrix, maps, shape):
    """The matrix times the second last axis of `maps` in a shape."""
    import tensorflow as tf

    return tf.matmul(tf.constant(matrix, maps.dtype), tf.reshape(maps, shape))


@functools.lru_cache(maxsize=64)
def _plan_axis(size, window, padding):
    """The tiles that take the fewest multiplications."""
    outputs, before = _count_outputs(size, window, padding)
    lengths = range(1, len(_POINTS) + 2 - window + 1)
    length = min(lengths, key=lambda m: -(-outputs // m) * (m + window - 1))
    tiles, points = -(-outputs // length), length + window - 1
    # Transposed: the product of polynomials of `length` and `window` coefficients.
    of_tile, of_kernel = _values(points, length), _values(points, window)
    of_inputs = np.linalg.inv(_values(points, points)).T
    rows = np.zeros((points, tiles, size + tiles * length + points))
    upstream = np.zeros((points, tiles, tiles * length))
    for tile in range(tiles):
        start = tile * length
        rows[:, tile, start : start + points] = of_inputs
        upstream[:, tile, start : start + length] = of_tile
    return _Axis(
        inputs=rows[..., before : before + size].reshape(points * tiles, size),
        outputs=upstream[..., :outputs].reshape(points * tiles, outputs),
        kernel=of_kernel,
        points=points,
        tiles=tiles,
    )


def _values(points, coefficients):
    """(points, coefficients): the matrix that evaluates a polynomial; the last at infinity."""
    matrix = np.vander(_POINTS[: points - 1], coefficients, increasing=True)
    return np.concatenate([matrix, np.eye(1, coefficients, coefficients - 1)])


def _count_outputs(size, window, padding):
    """(positions of the outputs along an axis, zeros before the images)."""
    return (size - window + 1, 0) if padding == "valid" else (size, (window - 1) // 2)
