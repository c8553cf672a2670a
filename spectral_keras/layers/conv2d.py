"""Convolution with a bias on its channels and faster gradients."""

from typing import Any

import keras

from spectral_keras.ops.bias import add_bias
from spectral_keras.ops.convolution import direct_conv2d
from spectral_keras.ops.validation import check_float_images

__all__ = ["Conv2D"]


@keras.saving.register_keras_serializable(package="spectral_keras")
class Conv2D(keras.layers.Conv2D):
    """Keras' 2-D convolution, made right and fast where Keras on TensorFlow is not.

    Arguments, weights, config and results are those of `keras.layers.Conv2D`, whose saved weights
    this layer loads, and the other way round.  What differs, all but the last on TensorFlow alone:

    - Channels first, the bias is added to the channels.  Keras adds it along the width where the
      width of the output is the number of filters.
    - Channels first works on every processor: the maps are transposed.
    - On a CPU the gradients of kernels of 2x2 to 5x5 with many channels take fewer multiplications,
      a quarter for 3x3, unless the batch is small: both in float32, the one by the kernel in
      bfloat16.  Together they take .45 to .95 of the time of oneDNN's kernels; rounding errors are
      1e-6 of their size in float32, also where a sum would be exactly zero
      (`spectral_keras.ops.minimal_filtering`).
    - bfloat16 on an x86 processor that is slow in it (`spectral_keras.ops.processor`) is computed
      in float32 and rounded, as its units would, on TensorFlow and PyTorch.

    Several groups are Keras' own code.

    Args:
        *args, **kwargs: those of `keras.layers.Conv2D`.

    Input shape:
        (batch, height, width, channels), or (batch, channels, height, width) with
        `data_format="channels_first"`.

    Output shape:
        As `keras.layers.Conv2D`.

    Example:

    >>> import keras
    >>> from spectral_keras.layers import Conv2D
    >>> Conv2D(16, 3, padding="same")(keras.random.normal((8, 4, 4, 3))).shape
    TensorShape([8, 4, 4, 16])
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        check_float_images(inputs, type(self).__name__)
        if self.groups != 1:
            return super().convolution_op(inputs, kernel)
        return direct_conv2d(
            inputs, kernel, self.strides, self.padding, self.dilation_rate, self.data_format
        )

    def call(self, inputs: Any) -> Any:
        outputs = self.convolution_op(inputs, self.kernel)
        if self.use_bias:
            outputs = add_bias(outputs, self.bias, self.data_format)
        return outputs if self.activation is None else self.activation(outputs)
