"""One matrix for each spatial axis of a batch of images, as plain matrix products.

Nothing is transposed.  For channels last the width axis is [n_w, W] @ [B*H, W, C] and the height
axis [n_h, H] @ [B, H, n_w*C], both views of the tensor as it lies in memory; for channels first
it is [B*C*H, W] @ [W, n_w] and [n_h, H] @ [B*C, H, n_w].
"""

import keras
import numpy as np
from keras import ops

from spectral_keras.ops.validation import check_data_format


def apply_separable(x, matrix_h, matrix_w, data_format=None):
    """Multiplies the height axis by `matrix_h` and the width axis by `matrix_w`.

    out[b, p, q, c] = sum over m, n of matrix_h[p, m] * matrix_w[q, n] * x[b, m, n, c]

    The product runs in x's dtype.  No gradient flows into the matrices.

    Args:
        x: float tensor of rank 4, height and width known.
        matrix_h, matrix_w: None to leave the axis alone; a numpy array of shape (out, in), a
            constant of the graph; or a tensor of shape (out, in), or (batch, out, in) for one
            matrix a sample.
        data_format: "channels_last", "channels_first" or None for Keras' global setting.

    Returns:
        Tensor of x's dtype with the two spatial sizes replaced.
    """
    data_format = check_data_format(data_format)
    x = ops.convert_to_tensor(x)
    if keras.backend.backend() == "tensorflow":
        return _apply_tensorflow(x, matrix_h, matrix_w, data_format)
    pair = tuple(_as_tensor(matrix, x.dtype) for matrix in (matrix_h, matrix_w))
    return _apply(x, pair, data_format)


def _apply_tensorflow(x, matrix_h, matrix_w, data_format):
    """`_apply` with the transposes of the backward pass written out.

    TensorFlow's gradient of A @ x is matmul(A, g, transpose_a=True), whose oneDNN kernel takes
    up to a third longer than the product with a transposed copy of the small matrix.
    """
    import tensorflow as tf

    forward = tuple(_as_tensor(matrix, x.dtype) for matrix in (matrix_h, matrix_w))
    backward = tuple(_as_tensor(_transposed(matrix), x.dtype) for matrix in (matrix_h, matrix_w))

    @tf.custom_gradient
    def product(x):
        def gradient(upstream):
            return _apply(upstream, backward, data_format)

        return _apply(x, forward, data_format), gradient

    return product(x)


def _transposed(matrix):
    if matrix is None:
        return None
    if isinstance(matrix, np.ndarray):
        return np.ascontiguousarray(matrix.T)
    return ops.swapaxes(matrix, -2, -1)


def _as_tensor(matrix, dtype):
    if matrix is None:
        return None
    if isinstance(matrix, np.ndarray):
        return ops.convert_to_tensor(matrix, dtype=dtype)
    return ops.stop_gradient(ops.cast(matrix, dtype))


def _apply(x, matrices, data_format):
    matrix_h, matrix_w = matrices
    if matrix_h is None and matrix_w is None:
        return ops.identity(x) if hasattr(ops, "identity") else x
    height, width = _spatial(x, data_format)
    rows = height if matrix_h is None else matrix_h.shape[-2]
    columns = width if matrix_w is None else matrix_w.shape[-2]
    # The axis that shrinks more goes first: the second product then has less to do.  At equal
    # shrinking the width goes first, and in the backward pass, where sizes grow, last.
    width_first = height * columns * (width + rows) <= rows * width * (height + columns)
    for axis in ("w", "h") if width_first else ("h", "w"):
        matrix = matrix_w if axis == "w" else matrix_h
        if matrix is None:
            continue
        x = _AXES[data_format, axis](x, matrix)
    return x
