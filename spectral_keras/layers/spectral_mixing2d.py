"""Channels mixed at each of the lowest frequencies: the Fourier neural operator's convolution."""

from collections.abc import Sequence
from typing import Any

import keras

from spectral_keras.ops.mixing import spectral_mixing
from spectral_keras.ops.validation import (
    check_data_format,
    check_float_images,
    check_identifiers,
    check_positive_int,
    check_size_pair,
    spatial_shape,
)

__all__ = ["SpectralMixing2D"]


@keras.saving.register_keras_serializable(package="spectral_keras")
class SpectralMixing2D(keras.layers.Layer):
    """Multiplies the channels by a learnable complex matrix at each of the lowest frequencies.

        y = F^-1(R(k) F(x)(k))    for |k_h| < m_h and |k_w| < m_w, 0 elsewhere

    over height and width: the integral operator of Fourier neural operators (Li et al. 2021, arXiv
    2010.08895).  R belongs to frequencies in periods an image, so one layer takes images of any
    size, larger, smaller, even or odd, and gives any size: for images that no size can tell apart
    the results are the same function.  What a size does not have is left out, its Nyquist bin
    included.  The published codes keep row -m_h but not m_h, and change with the size.

    Only the m_h x m_w frequencies are computed, by matrices of as many rows, without complex
    numbers; so the layer runs in half precision, and on ONNX and LiteRT.

    Args:
        filters: number of output channels.
        modes: (m_h, m_w) or an integer.
        output_size: None for the size of the images, an integer, or a pair.
        kernel_initializer: of R; None is uniform between 0 and 1/(channels filters), as published.
        kernel_regularizer: of R.
        kernel_constraint: of R.
        data_format: "channels_last", "channels_first" or None for Keras' global setting.
        **kwargs: `name`, `dtype`, `trainable`.

    Attributes:
        kernel: the weight, of shape (2 m_h - 1, m_w, channels, filters, 2): rows k_h = 0, 1 ...
            m_h - 1 and 1 - m_h ... -1, columns k_w = 0 ... m_w - 1, real and imaginary part.

    Input shape:
        (batch, height, width, channels), or (batch, channels, height, width) with
        `data_format="channels_first"`; channels known.

    Output shape:
        The same with `filters` channels, and height and width of the output.

    Raises:
        ValueError: for a bad argument, or an input of another rank.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.layers import SpectralMixing2D
    >>> layer = SpectralMixing2D(4, modes=3)
    >>> tuple(layer(np.ones((2, 16, 16, 3), "float32")).shape)
    (2, 16, 16, 4)
    >>> tuple(layer(np.ones((2, 5, 33, 3), "float32")).shape)
    (2, 5, 33, 4)
    """

    def __init__(
        self,
        filters: int,
        modes: int | Sequence[int],
        *,
        output_size: int | Sequence[int] | None = None,
        kernel_initializer: Any = None,
        kernel_regularizer: Any = None,
        kernel_constraint: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = check_positive_int("filters", filters)
        self.modes = check_size_pair("modes", modes)
        if output_size is not None:
            output_size = check_size_pair("output_size", output_size)
        self.output_size = output_size
        check_identifiers(
            kernel_regularizer=kernel_regularizer, kernel_constraint=kernel_constraint
        )
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.data_format = check_data_format(data_format)

    def build(self, input_shape: Sequence[int | None]) -> None:
        spatial_shape(input_shape, self.data_format, "SpectralMixing2D")
        axis = 3 if self.data_format == "channels_last" else 1
        channels = input_shape[axis]
        if channels is None:
            raise ValueError(
                "SpectralMixing2D needs a known number of channels. "
                f"Received: input shape {tuple(input_shape)}"
            )
        uniform = keras.initializers.RandomUniform(0, 1 / (channels * self.filters))
        self.kernel = self.add_weight(
            name="kernel",
            shape=(2 * self.modes[0] - 1, self.modes[1], channels, self.filters, 2),
            initializer=self.kernel_initializer or uniform,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={axis: channels})
        self.built = True

    def call(self, inputs: Any) -> Any:
        check_float_images(inputs, "SpectralMixing2D")
        spatial_shape(inputs.shape, self.data_format, "SpectralMixing2D")
        kernel = keras.ops.convert_to_tensor(self.kernel)
        return spectral_mixing(inputs, kernel, self.output_size, self.data_format)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Any:
        size = self.output_size or spatial_shape(input_shape, self.data_format, "SpectralMixing2D")
        if self.data_format == "channels_last":
            return (input_shape[0], *size, self.filters)
        return (input_shape[0], self.filters, *size)

    def get_config(self) -> dict[str, Any]:
        initializer = self.kernel_initializer
        return {
            **super().get_config(),
            "filters": self.filters,
            "modes": self.modes,
            "output_size": self.output_size,
            "kernel_initializer": initializer and keras.initializers.serialize(initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "data_format": self.data_format,
        }
