"""Circular convolution and spectral pooling in one pass through the frequency domain."""

from collections.abc import Sequence
from typing import Any

import keras

from spectral_keras.layers.choices import NamedChoices
from spectral_keras.ops.bias import add_bias
from spectral_keras.ops.convolution import (
    CONV_POOL_IMPLEMENTATIONS,
    fft_conv2d,
    fft_conv_pool2d,
)
from spectral_keras.ops.resize import NORMS, NYQUIST_RULES, resize_of_unknown_size
from spectral_keras.ops.unknown_size import floor_of, root_of_ratio, sizes_of
from spectral_keras.ops.validation import (
    check_bool,
    check_choice,
    check_data_format,
    check_identifiers,
    check_number,
    check_positive_int,
    check_size_pair,
    spatial_shape,
)

__all__ = ["FFTConvPool2D"]


@keras.saving.register_keras_serializable(package="spectral_keras")
class FFTConvPool2D(NamedChoices, keras.layers.Layer):
    """Circular convolution and spectral pooling with one inverse transform.

        y = activation(Re F^-1(crop(F(x) * conj(F(kernel)) + bias at DC)))

    Equal to `FFTConv2D(padding="circular")` followed by `SpectralPool` and the activation, without
    going back to space in between: the product of the spectra of image and kernel is cropped, and
    frequencies that are cropped are computed nowhere, neither by the transform of the image nor in
    the product, so that pooling by two saves three quarters of the work.  With `output_size=1`
    only the DC bin is left: convolution and global average in one.

    It is the building block of a network whose convolutions and poolings are all in the frequency
    domain, the future work of Rippel, Snoek and Adams 2015 (arXiv 1506.03767) and of the report
    (section VI).

    Args:
        filters: number of output channels.
        kernel_size: integer or pair; larger than the image wraps around it.
        output_size: integer or pair (height, width), at most the input's.
        scale: instead of `output_size`, a number in (0, 1]; each side n becomes floor(scale * n),
            at least 1.  Neither of the two keeps the size.
        nyquist, norm: of the pooling, as in `SpectralPool`.
        implementation: "matmul", DFTs as real matrices, which hold no complex tensor and export to
            ONNX and LiteRT; "fft", the backend's FFT; or "auto", the faster by size.
        data_format: "channels_last", "channels_first" or None for Keras' global setting.
        groups, activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer,
            bias_regularizer, activity_regularizer, kernel_constraint, bias_constraint: as in
            `keras.layers.Conv2D`, also the shapes of the weights `kernel` and `bias`.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (batch, height, width, channels), or (batch, channels, height, width) with
        `data_format="channels_first"`; channels known.

    Output shape:
        (batch, *output_size, filters), or (batch, filters, *output_size) channels first.

    Raises:
        ValueError: an argument is out of its range, both `output_size` and `scale` are given, the
            output is larger than the input, or the channels are unknown.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.layers import FFTConv2D, FFTConvPool2D, SpectralPool
    >>> x = np.random.default_rng(0).random((2, 16, 16, 3), "float32")
    >>> layer = FFTConvPool2D(8, 3, output_size=(12, 9))
    >>> y = layer(x)
    >>> tuple(y.shape)
    (2, 12, 9, 8)
    >>> conv = FFTConv2D(8, 3, padding="circular")
    >>> conv.build(x.shape)
    >>> conv.set_weights(layer.get_weights())
    >>> bool(np.allclose(y, SpectralPool((12, 9))(conv(x)), atol=1e-5))
    True
    """

    choices = {
        "nyquist": NYQUIST_RULES,
        "norm": NORMS,
        "implementation": CONV_POOL_IMPLEMENTATIONS,
    }

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        output_size: int | Sequence[int] | None = None,
        *,
        scale: float | None = None,
        nyquist: str = "average",
        norm: str = "mean",
        implementation: str = "auto",
        data_format: str | None = None,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        check_identifiers(
            activation=activation,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        if output_size is not None and scale is not None:
            raise ValueError(
                "At most one of `output_size` and `scale` must be given. "
                f"Received: output_size={output_size!r}, scale={scale!r}"
            )
        self.filters = check_positive_int("filters", filters)
        self.kernel_size = check_size_pair("kernel_size", kernel_size)
        if output_size is not None:
            output_size = check_size_pair("output_size", output_size)
        if scale is not None:
            scale = check_number("scale", scale, low=0, low_open=True, high=1)
        self.output_size = output_size
        self.scale = scale
        self.nyquist = check_choice("nyquist", nyquist, NYQUIST_RULES)
        self.norm = check_choice("norm", norm, NORMS)
        self.implementation = check_choice(
            "implementation", implementation, CONV_POOL_IMPLEMENTATIONS
        )
        self.data_format = check_data_format(data_format)
        self.groups = check_positive_int("groups", groups)
        if filters % groups:
            raise ValueError(
                "`filters` must be a multiple of `groups`. "
                f"Received: filters={filters!r}, groups={groups!r}"
            )
        self.activation = keras.activations.get(activation)
        self.use_bias = check_bool("use_bias", use_bias)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)

    def build(self, input_shape: Sequence[int | None]) -> None:
        self._sizes(input_shape)
        channels = input_shape[-1 if self.data_format == "channels_last" else 1]
        if channels is None or channels % self.groups:
            raise ValueError(
                "FFTConvPool2D needs a known number of channels, a multiple of `groups`. "
                f"Received: input shape {tuple(input_shape)}, groups={self.groups}"
            )
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*self.kernel_size, channels // self.groups, self.filters),
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

    def _sizes(self, input_shape):
        """(height, width) of input and output, checked."""
        size = spatial_shape(input_shape, self.data_format, "FFTConvPool2D")
        output_size = self.output_size or size
        if self.scale is not None:
            output_size = tuple(None if n is None else floor_of(self.scale, n) for n in size)
        if any(
            None not in pair and pair[0] > pair[1] for pair in zip(output_size, size, strict=True)
        ):
            raise ValueError(
                f"`output_size` must be at most the input's size {size}. "
                f"Received: output_size={self.output_size!r}"
            )
        return size, output_size

    def call(self, inputs: Any) -> Any:
        size, output_size = self._sizes(inputs.shape)
        if None in size:
            size = sizes_of(inputs, self.data_format)
            if None in output_size:
                output_size = tuple(floor_of(self.scale or 1.0, n) for n in size)
            outputs = fft_conv2d(
                inputs, self.kernel, padding="circular", data_format=self.data_format
            )
            outputs = resize_of_unknown_size(
                outputs, output_size, self.nyquist, self.norm, self.data_format
            )
        else:
            outputs = fft_conv_pool2d(
                inputs,
                self.kernel,
                output_size,
                nyquist=self.nyquist,
                norm=self.norm,
                implementation=self.implementation,
                data_format=self.data_format,
            )
        if self.bias is not None:
            bias = self.bias
            if self.norm == "ortho":
                # The bias belongs to the convolution, and the pooling scales what is constant.
                bias = bias * root_of_ratio(size, output_size, bias.dtype)
            outputs = add_bias(outputs, bias, self.data_format)
        return outputs if self.activation is None else self.activation(outputs)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Any:
        output_size = self._sizes(input_shape)[1]
        if self.data_format == "channels_last":
            return (input_shape[0], *output_size, self.filters)
        return (input_shape[0], self.filters, *output_size)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            {
                "filters": self.filters,
                "kernel_size": self.kernel_size,
                "output_size": self.output_size,
                "scale": self.scale,
                "nyquist": self.nyquist,
                "norm": self.norm,
                "implementation": self.implementation,
                "data_format": self.data_format,
                "groups": self.groups,
                "activation": keras.activations.serialize(self.activation),
                "use_bias": self.use_bias,
                "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
                "bias_initializer": keras.initializers.serialize(self.bias_initializer),
                "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
                "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
                "activity_regularizer": keras.regularizers.serialize(self.activity_regularizer),
                "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
                "bias_constraint": keras.constraints.serialize(self.bias_constraint),
            }
        )
        return config
