"""One matrix for each spatial axis of a batch of images, as plain matrix products.

Nothing is transposed.  For channels last the width axis is [n_w, W] @ [B*H, W, C] and the height
axis [n_h, H] @ [B, H, n_w*C], both views of the tensor as it lies in memory; for channels first
it is [B*C*H, W] @ [W, n_w] and [n_h, H] @ [B*C, H, n_w].
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from spectral_keras.ops.custom_gradient import custom_gradient
from spectral_keras.ops.validation import check_data_format

__all__ = ["FEW_CHANNELS", "HALVING_SIZE", "SMALL_SIDE", "apply_separable"]

# Up to this many channels the product along the width of channels-last images, C numbers side by
# side, is slower than two transposes and the channels-first products (1.2 to 2.7 times at 1 and 3
# channels, about equal at 8).
FEW_CHANNELS = 4

# Up to this many rows of the smaller maps, the full-size channels-last tensor is better read or
# written by the product along the height, a long product of few rows for each image, than by one
# short product for each row of an image: by 5 to 20 % in float32, 10 to 25 % in bfloat16 for 4 to
# 8 rows; from 10 on it is slower.  With up to 64 channels that holds of writing only.
SMALL_SIDE = 8
_SHORT_ROWS = 64

# From this size on, products that shrink an axis to its half are bound by arithmetic rather than
# by memory, and leaving out the columns that are an identity pays (1.1 times faster at 112, 1.3 at
# 224, 1.4 times slower at 32).
HALVING_SIZE = 96


def apply_separable(
    x: Any,
    matrix_h: Any,
    matrix_w: Any,
    data_format: str | None = None,
    *,
    trainable: bool = False,
) -> Any:
    """Multiplies the height axis by `matrix_h` and the width axis by `matrix_w`.

    out[b, p, q, c] = sum over m, n of matrix_h[p, m] * matrix_w[q, n] * x[b, m, n, c]

    The product runs in x's dtype.  A gradient flows into the matrices if they are `trainable`.

    Args:
        x: float tensor of rank 4, height and width known.
        matrix_h, matrix_w: None to leave the axis alone; a numpy array of shape (out, in), a
            constant of the graph; or a tensor of shape (out, in), or (batch, out, in) for one
            matrix a sample.
        data_format: "channels_last", "channels_first" or None for Keras' global setting.
        trainable: whether to differentiate by the matrices, which are then tensors.

    Returns:
        Tensor of x's dtype with the two spatial sizes replaced.
    """
    data_format = check_data_format(data_format)
    x = ops.convert_to_tensor(x)
    if trainable:
        return _apply(x, matrix_h, matrix_w, data_format)
    if keras.backend.backend() == "tensorflow":
        return _apply_tensorflow(x, matrix_h, matrix_w, data_format)
    return _apply(x, _constant(matrix_h), _constant(matrix_w), data_format)


def _apply_tensorflow(x, matrix_h, matrix_w, data_format):
    """`_apply` with the transposes of the backward pass written out.

    TensorFlow's gradient of A @ x is matmul(A, g, transpose_a=True), whose oneDNN kernel takes up
    to a quarter longer than the product with a transposed copy of the small matrix.
    """
    matrices = _constant(matrix_h), _constant(matrix_w)

    def product(x):
        def gradient(upstream, *matrices):
            return _apply(upstream, *map(_transpose, matrices), data_format)

        return _apply(x, *matrices, data_format), matrices, gradient

    return custom_gradient(product, x)


def _constant(matrix):
    """The matrix without a path for gradients."""
    return matrix if matrix is None or isinstance(matrix, np.ndarray) else ops.stop_gradient(matrix)


def _transpose(matrix):
    if matrix is None:
        return None
    if isinstance(matrix, np.ndarray):
        return np.ascontiguousarray(matrix.T)
    return ops.swapaxes(matrix, -2, -1)


def _tensor(matrix, like):
    dtype = keras.backend.standardize_dtype(like.dtype)
    if isinstance(matrix, np.ndarray):
        # NumPy has no bfloat16: rounded by the backend, from float32.
        plain = "float64" if dtype == "float64" else "float32"
        return ops.cast(ops.convert_to_tensor(matrix.astype(plain), dtype=plain), dtype)
    return ops.cast(matrix, dtype)


def _apply(x, matrix_h, matrix_w, data_format):
    if matrix_h is None and matrix_w is None:
        return x
    if data_format == "channels_last":
        channels = x.shape[-1]
        if channels is not None and channels <= FEW_CHANNELS:
            x = _apply(_to_channels_first(x), matrix_h, matrix_w, "channels_first")
            return _to_channels_last(x)
        steps = {"h": _height_channels_last, "w": _width_channels_last}
        height, width = x.shape[1:3]
    else:
        steps = {"h": _height_channels_first, "w": _width_channels_first}
        height, width = x.shape[2:4]
    rows = height if matrix_h is None else matrix_h.shape[-2]
    columns = width if matrix_w is None else matrix_w.shape[-2]
    # The order with fewer multiplications.  Squares: width first to shrink and last to grow, so
    # that the full-size tensor is read or written by the product that runs through it in order,
    # or the other way round (see `SMALL_SIDE`).
    width_first = height * columns * (width + rows)
    height_first = rows * width * (height + columns)
    if width_first == height_first:
        shrinks = rows * columns <= height * width
        small = data_format == "channels_last" and min(height, rows) <= SMALL_SIDE
        by_height = small and (not shrinks or (x.shape[3] or 0) > _SHORT_ROWS)
        order = "wh" if shrinks != by_height else "hw"
    else:
        order = "wh" if width_first < height_first else "hw"
    for axis in order:
        matrix = matrix_h if axis == "h" else matrix_w
        if matrix is not None:
            x = steps[axis](x, matrix)
    return x


def _to_channels_first(x):
    if x.shape[3] == 1:
        return ops.reshape(x, (-1, 1, x.shape[1], x.shape[2]))
    return ops.transpose(x, (0, 3, 1, 2))


def _to_channels_last(x):
    if x.shape[1] == 1:
        return ops.reshape(x, (-1, x.shape[2], x.shape[3], 1))
    return ops.transpose(x, (0, 2, 3, 1))


def _size(x, axis):
    return x.shape[axis] if x.shape[axis] is not None else ops.shape(x)[axis]


def _height_channels_last(x, matrix):
    height, width, channels = x.shape[1], x.shape[2], _size(x, 3)
    x = _left_product(matrix, ops.reshape(x, (-1, height, width * channels)))
    return ops.reshape(x, (-1, matrix.shape[-2], width, channels))


def _width_channels_last(x, matrix):
    height, width, channels = x.shape[1], x.shape[2], _size(x, 3)
    if len(matrix.shape) == 3:
        return ops.expand_dims(_tensor(matrix, x), 1) @ x
    x = _left_product(matrix, ops.reshape(x, (-1, width, channels)))
    return ops.reshape(x, (-1, height, matrix.shape[-2], channels))


def _height_channels_first(x, matrix):
    channels, height, width = _size(x, 1), x.shape[2], x.shape[3]
    if len(matrix.shape) == 3:
        return ops.expand_dims(_tensor(matrix, x), 1) @ x
    x = _left_product(matrix, ops.reshape(x, (-1, height, width)))
    return ops.reshape(x, (-1, channels, matrix.shape[-2], width))


def _width_channels_first(x, matrix):
    channels, height, width = _size(x, 1), x.shape[2], x.shape[3]
    right = _tensor(_transpose(matrix), x)
    if len(matrix.shape) == 3:
        return x @ ops.expand_dims(right, 1)
    x = ops.reshape(x, (-1, width)) @ right
    return ops.reshape(x, (-1, channels, height, matrix.shape[-2]))


def _left_product(matrix, x):
    """[out, in] @ [N, in, D], or [N, out, in] @ [N, in, D].

    With the operator, as everywhere in this file: on PyTorch and JAX `keras.ops.matmul` turns
    float64 into float32.
    """
    if isinstance(matrix, np.ndarray):
        if _is_halving(matrix):
            return _halve(matrix, x)
        if _is_halving(matrix.T):
            return _double(matrix, x)
    return _tensor(matrix, x) @ x


def _is_halving(matrix):
    """Whether the matrix halves a large axis and its even columns are a multiple of identity.

    True for the resampling matrix from 2n to n that averages at Nyquist: at every second sample
    the ideal low-pass is zero but for the sample itself.
    """
    size_out, size_in = matrix.shape
    if size_in != 2 * size_out or size_in < HALVING_SIZE:
        return False
    return bool(np.allclose(matrix[:, ::2], matrix[0, 0] * np.eye(size_out), rtol=0, atol=1e-12))


def _halve(matrix, x):
    """The product for an `_is_halving` matrix: half the multiplications."""
    size, depth = matrix.shape[0], _size(x, 2)
    pairs = ops.reshape(x, (-1, size, 2 * depth))  # sample 2q and sample 2q + 1 side by side
    even, odd = pairs[..., :depth], pairs[..., depth:]
    scale = ops.cast(matrix[0, 0], x.dtype)
    return scale * even + _tensor(np.ascontiguousarray(matrix[:, 1::2]), x) @ odd


def _double(matrix, x):
    """The product for the transpose of an `_is_halving` matrix."""
    size, depth = matrix.shape[1], _size(x, 2)
    scale = ops.cast(matrix[0, 0], x.dtype)
    odd = _tensor(np.ascontiguousarray(matrix[1::2]), x) @ x
    return ops.reshape(ops.concatenate([scale * x, odd], axis=-1), (-1, 2 * size, depth))
