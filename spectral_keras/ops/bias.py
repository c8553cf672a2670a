"""Adding a bias to feature maps."""

from typing import Any

import keras
from keras import ops

__all__ = ["add_bias"]


def add_bias(x: Any, bias: Any, data_format: str | None = None) -> Any:
    """The maps with bias[c] added to all of channel c.

    `keras.ops.add(x, reshaped_bias)`, and with symbolic maps `x + reshaped_bias`, guesses the
    layout on TensorFlow: of channels-first maps whose width is the number of channels, it takes the
    width for the channels.

    Args:
        x: float tensor of shape (batch, height, width, channels), or (batch, channels, height,
            width) with `data_format="channels_first"`.
        bias: tensor of shape (channels,).
        data_format: "channels_last", "channels_first" or None for Keras' global setting.

    Returns:
        Tensor of the shape and dtype of x.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.ops.bias import add_bias
    >>> maps = np.zeros((1, 2, 1, 2), "float32")
    >>> np.asarray(add_bias(maps, np.array([1.0, 5.0], "float32"), "channels_first")).tolist()
    [[[[1.0, 1.0]], [[5.0, 5.0]]]]
    """
    x = ops.convert_to_tensor(x)
    bias = ops.cast(bias, x.dtype)
    if (data_format or keras.config.image_data_format()) == "channels_last":
        # Here the guess is right, and TensorFlow runs convolution and bias as one.
        return ops.add(x, ops.reshape(bias, (1, 1, 1, -1)))
    # Without the guess, for symbolic maps too: in IEEE arithmetic x - (-b) is x + b.
    return ops.subtract(x, ops.reshape(ops.negative(bias), (1, -1, 1, 1)))
