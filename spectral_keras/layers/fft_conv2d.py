"""Convolution computed as a product of spectra."""

import keras

from spectral_keras.ops.convolution import (
    CONV_IMPLEMENTATIONS,
    PADDINGS,
    convolution_size,
    fft_conv2d,
)
from spectral_keras.ops.validation import check_choice, static_spatial_shape


@keras.saving.register_keras_serializable(package="spectral_keras")
class FFTConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D`, computed in the frequency domain.

    By the convolution theorem a convolution is a product of spectra, whose cost hardly grows with
    the kernel: large kernels come at the price of small ones (the layer that the report calls its
    future work, section VI and Figure 8; Mathieu, Henaff and LeCun 2014, arXiv 1312.5851).  The
    numbers, both gradients and the weights `kernel` and `bias` are those of `Conv2D`, which
    computes a cross-correlation; with the same seed the layer starts where a `Conv2D` starts.

    Args:
        filters, kernel_size, strides, data_format, dilation_rate, groups, activation, use_bias,
            kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint: as in
            `keras.layers.Conv2D`.
        padding: "same" or "valid" as in `Conv2D`, or "circular": the image continues
            periodically, the output has ceil(size / stride) samples, and tap (k - 1)//2 of the
            kernel lies on the input sample.
        implementation: "fft", the backend's FFT; "matmul", real DFT matrices, which export to
            ONNX and LiteRT; "direct", the ordinary convolution; "auto", the fastest by a cost
            model, so that small kernels are computed directly.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (batch, height, width, channels), or (batch, channels, height, width) with
        `data_format="channels_first"`; height and width known.

    Output shape:
        As `keras.layers.Conv2D`; with "circular" the sides are ceil(size / stride).

    Raises:
        ValueError: for arguments that `Conv2D` refuses, an unknown padding or implementation, or
            a height or width that is not known.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.layers import FFTConv2D
    >>> layer = FFTConv2D(8, 21, padding="same")
    >>> tuple(layer(np.ones((2, 48, 40, 3), "float32")).shape)
    (2, 48, 40, 8)
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=(1, 1),
        padding="valid",
        *args,
        implementation="auto",
        **kwargs,
    ):
        check_choice("padding", padding, PADDINGS)
        if kwargs.get("lora_rank") is not None:
            raise ValueError(
                "`lora_rank` must be None: FFTConv2D has no LoRA form. "
                f"Received: lora_rank={kwargs['lora_rank']!r}"
            )
        # Keras does not know "circular": its checks see "same".
        known = "same" if padding == "circular" else padding
        super().__init__(filters, kernel_size, strides, known, *args, **kwargs)
        self.padding = padding
        self.implementation = check_choice("implementation", implementation, CONV_IMPLEMENTATIONS)

    def build(self, input_shape):
        static_spatial_shape(input_shape, self.data_format, "FFTConv2D")
        super().build(input_shape)

    def convolution_op(self, inputs, kernel):
        return fft_conv2d(
            inputs,
            kernel,
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            implementation=self.implementation,
            data_format=self.data_format,
        )

    def compute_output_shape(self, input_shape):
        if self.padding != "circular":
            return super().compute_output_shape(input_shape)
        height, width = static_spatial_shape(input_shape, self.data_format, "FFTConv2D")
        spatial = tuple(
            convolution_size(size, taps, stride, "circular", dilation)[0]
            for size, taps, stride, dilation in zip(
                (height, width), self.kernel_size, self.strides, self.dilation_rate, strict=True
            )
        )
        if self.data_format == "channels_last":
            return (input_shape[0], *spatial, self.filters)
        return (input_shape[0], self.filters, *spatial)

    def enable_lora(self, *args, **kwargs):
        raise ValueError("FFTConv2D has no LoRA form: use keras.layers.Conv2D for that.")

    def get_config(self):
        config = super().get_config()
        config["implementation"] = self.implementation
        return config
