"""Gradient of a convolution's kernel as matrix products, where TensorFlow's own is slow."""

import math
from collections.abc import Sequence
from typing import Any

import keras

from spectral_keras.ops.custom_gradient import custom_gradient

__all__ = ["conv2d_with_kernel_products", "is_faster_by_products"]

# Positions of the outputs up to which, and channels from which, the products were faster.
_POSITIONS, _CHANNELS = 81, 128


def is_faster_by_products(x: Any, kernel: Any, strides: Sequence[int], padding: str) -> bool:
    """Whether to take `conv2d_with_kernel_products` for images `x`, channels last.

    In bfloat16 on a CPU, at stride 1, for small maps with many channels, while a graph is built:
    milliseconds of the gradient of a 3x3 kernel, 128 images, two AMD cores with AVX-512 BF16,
    oneDNN's kernel and the products:

        9x9, 256 channels     48   39        4x4, 512 channels     44   26
        8x8, 256 channels     35   28        2x2, 512 channels     25    8
        4x4, 128 channels      7    5        16x16, 128 channels   30   37
    """
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    sizes, (*window, channels, filters) = x.shape[1:3], kernel.shape
    if x.dtype != tf.bfloat16 or None in sizes or tf.executing_eagerly():
        return False
    outputs = [_outputs(*axis, padding)[0] for axis in zip(sizes, window, strict=True)]
    return (
        set(strides) == {1}
        and x.shape[3] == channels
        and min(outputs) >= 1
        and math.prod(outputs) <= _POSITIONS
        and min(channels, filters) >= _CHANNELS
        and not tf.config.list_logical_devices("GPU")
    )


def conv2d_with_kernel_products(x: Any, kernel: Any, padding: str) -> Any:
    """`tf.nn.conv2d` at stride 1, whose gradient by the kernel is a matrix product a tap.

    A tap of the kernel meets the images shifted; its gradient is the product of the shifted images
    with the outputs' gradient, over images and positions.

    Args:
        x: tensor of shape (batch, height, width, channels), known but for the batch.
        kernel: tensor of shape (rows, columns, channels, filters).
        padding: "same" or "valid".

    Returns:
        (batch, new height, new width, filters), as `keras.ops.conv`.
    """
    import tensorflow as tf

    attributes = {"strides": [1, 1, 1, 1], "padding": padding.upper()}

    def convolution(x, kernel):
        def gradient(upstream, x, kernel):
            by_images = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(x), filter=kernel, out_backprop=upstream, **attributes
            )
            return by_images, _by_kernel(x, upstream, kernel.shape, padding)

        return tf.nn.conv2d(x, kernel, **attributes), (x, kernel), gradient

    return custom_gradient(convolution, x, kernel)


def _by_kernel(x, upstream, shape, padding):
    import tensorflow as tf

    (row_outputs, top), (column_outputs, left) = (
        _outputs(size, window, padding)
        for size, window in zip(x.shape[1:3], shape[:2], strict=True)
    )
    # Positions in one axis, with a few zeros after each row: a tap is then a shift of all of them,
    # and a shift is no copy.  What would leave a row at either end meets zeros.
    line = max(x.shape[2] + left, column_outputs + shape[1] - 1 - left)
    images, upstream = _positions(x, line), _positions(upstream, line)
    products = []
    for row in range(shape[0]):
        for column in range(shape[1]):
            shift = (row - top) * line + column - left
            begin, end = max(0, -shift), min(row_outputs * line, x.shape[1] * line - shift)
            if begin >= end:  # the tap meets zeros only
                products.append(tf.zeros(shape[2:], x.dtype))
                continue
            met, outputs = images[begin + shift : end + shift], upstream[begin:end]
            products.append(tf.matmul(_matrix(met), _matrix(outputs), transpose_a=True))
    return tf.reshape(tf.stack(products), shape)


def _positions(maps, line):
    """(rows x line, images, channels): positions before images, zeros after each row."""
    import tensorflow as tf

    _, rows, columns, channels = maps.shape
    images = tf.shape(maps)[0]
    moved = tf.reshape(tf.transpose(maps, (1, 2, 0, 3)), (rows, columns, images * channels))
    zeros = tf.zeros((rows, line - columns, images * channels), maps.dtype)
    return tf.reshape(tf.concat([moved, zeros], 1), (rows * line, images, channels))


def _matrix(positions):
    """(positions and images, channels)."""
    import tensorflow as tf

    return tf.reshape(positions, (-1, positions.shape[-1]))


def _outputs(size, window, padding):
    """(positions of the outputs along an axis, zeros before the images)."""
    return (size - window + 1, 0) if padding == "valid" else (size, (window - 1) // 2)
