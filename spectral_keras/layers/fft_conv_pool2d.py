"""Circular convolution and spectral pooling in one pass through the frequency domain."""

import keras
from keras import ops

from spectral_keras.ops.convolution import CONV_POOL_IMPLEMENTATIONS, fft_conv_pool2d
from spectral_keras.ops.resize import NORMS, NYQUIST_RULES
from spectral_keras.ops.validation import (
    check_bool,
    check_choice,
    check_data_format,
    check_positive_int,
    check_size_pair,
    static_spatial_shape,
)


@keras.saving.register_keras_serializable(package="spectral_keras")
class FFTConvPool2D(keras.layers.Layer):
    """Convolves and pools in the frequency domain, with one inverse transform.

    y = F^-1(crop(F(x) * conj F(w))) + bias: the product of the spectra of image and kernel, of
    which only the frequencies of the smaller output are computed.  Equal to
    `FFTConv2D(padding="circular")` followed by `SpectralPool`, without going back to space in
    between: the building block of a network whose convolutions and poolings are all in the
    frequency domain (the report's section VI; Rippel, Snoek and Adams 2015, section 6).

    Args:
        filters: number of output channels.
        kernel_size: integer or pair.
        output_size: integer or pair (height, width), at most the input's; None keeps the size.
        nyquist, norm: as in `SpectralPool`.
        implementation: "matmul", real DFT matrices, which export to ONNX and LiteRT; "fft"; or
            "auto".
        data_format: "channels_last", "channels_first" or None for Keras' global setting.
        activation: of the output, in space.
        use_bias: whether a bias is added.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            kernel_constraint, bias_constraint: as in `keras.layers.Conv2D`.
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Input shape:
        (batch, height, width, channels), or (batch, channels, height, width) with
        `data_format="channels_first"`; height and width known.

    Output shape:
        (batch, *output_size, filters), or channels first.

    Raises:
        ValueError: an argument is out of its range, the output is larger than the input, or
            height, width or channels are unknown.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.layers import FFTConvPool2D
    >>> layer = FFTConvPool2D(8, 3, output_size=(12, 9), activation="relu")
    >>> tuple(layer(np.ones((2, 16, 16, 3), "float32")).shape)
    (2, 12, 9, 8)
    """

    def __init__(
        self,
        filters,
        kernel_size,
        output_size=None,
        *,
        nyquist="average",
        norm="mean",
        implementation="auto",
        data_format=None,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = check_positive_int("filters", filters)
        self._kernel_size = check_size_pair("kernel_size", kernel_size)
        self._output_size = (
            None if output_size is None else check_size_pair("output_size", output_size)
        )
        self.kernel_size = kernel_size
        self.output_size = output_size
        self.nyquist = check_choice("nyquist", nyquist, NYQUIST_RULES)
        self.norm = check_choice("norm", norm, NORMS)
        self.implementation = check_choice(
            "implementation", implementation, CONV_POOL_IMPLEMENTATIONS
        )
        self.data_format = check_data_format(data_format)
        self.activation = keras.activations.get(activation)
        self.use_bias = check_bool("use_bias", use_bias)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)

    def build(self, input_shape):
        self.compute_output_shape(input_shape)
        channels = input_shape[-1 if self.data_format == "channels_last" else 1]
        if channels is None:
            raise ValueError(
                "FFTConvPool2D needs a known number of channels. "
                f"Received: input shape {tuple(input_shape)}"
            )
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*self._kernel_size, channels, self.filters),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.filters,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.built = True

    def call(self, inputs):
        outputs = fft_conv_pool2d(
            inputs,
            self.kernel,
            self._sizes(inputs.shape),
            nyquist=self.nyquist,
            norm=self.norm,
            implementation=self.implementation,
            data_format=self.data_format,
        )
        if self.bias is not None:
            last = self.data_format == "channels_last"
            shape = (1, 1, 1, self.filters) if last else (1, self.filters, 1, 1)
            outputs = outputs + ops.reshape(self.bias, shape)
        return outputs if self.activation is None else self.activation(outputs)

    def _sizes(self, input_shape):
        size = static_spatial_shape(input_shape, self.data_format, "FFTConvPool2D")
        output_size = self._output_size or size
        if any(new > old for new, old in zip(output_size, size, strict=True)):
            raise ValueError(
                f"`output_size` must be at most the input's size {size}. "
                f"Received: output_size={self.output_size!r}"
            )
        return output_size

    def compute_output_shape(self, input_shape):
        output_size = self._sizes(input_shape)
        if self.data_format == "channels_last":
            return (input_shape[0], *output_size, self.filters)
        return (input_shape[0], self.filters, *output_size)

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "filters": self.filters,
                "kernel_size": self.kernel_size,
                "output_size": self.output_size,
                "nyquist": self.nyquist,
                "norm": self.norm,
                "implementation": self.implementation,
                "data_format": self.data_format,
                "activation": keras.activations.serialize(self.activation),
                "use_bias": self.use_bias,
                "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
                "bias_initializer": keras.initializers.serialize(self.bias_initializer),
                "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
                "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
                "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
                "bias_constraint": keras.constraints.serialize(self.bias_constraint),
            }
        )
        return config
