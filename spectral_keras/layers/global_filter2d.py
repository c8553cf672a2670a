"""A learnable complex filter on the spectrum of each channel."""

from collections.abc import Sequence
from typing import Any, Self

import keras

from spectral_keras.layers.choices import NamedChoices
from spectral_keras.ops.global_filter import apply_filter
from spectral_keras.ops.masking import IMPLEMENTATIONS
from spectral_keras.ops.transfer import transfer
from spectral_keras.ops.unknown_size import sizes_of
from spectral_keras.ops.validation import (
    as_plain,
    check_built,
    check_choice,
    check_data_format,
    check_float_images,
    check_identifiers,
    check_size_pair,
    spatial_shape,
    static_spatial_shape,
)

__all__ = ["GlobalFilter2D"]

_WHY = ": the filter has a weight for each frequency. Give `size`, for which it has them"
_FIXED = ' for implementation="matmul", matrices made for one size; "auto" and "fft" take any'


@keras.saving.register_keras_serializable(package="spectral_keras")
class GlobalFilter2D(NamedChoices, keras.layers.Layer):
    """Multiplies the spectrum of each channel by a learnable complex filter.

        y = F^-1(K * F(x))

    over height and width: a circular convolution of each channel with a kernel as large as the
    image, which mixes the tokens of GFNet (Rao et al. 2021, arXiv 2107.00645).  Images of another
    size than the filter's are filtered with the filter of the same frequencies in periods an image
    (`spectral_keras.ops.transfer`), so that filtering commutes with spectral resizing; GFNet's code
    interpolates K as an image, which moves its frequencies.

    Args:
        size: (height, width) of the images that the filter has its weights for, an integer, or None
            for the size that the layer is built for.
        kernel_initializer: of the filter; None is normal with deviation 0.02, as published.
        kernel_regularizer: of the filter.
        kernel_constraint: of the filter.
        implementation: "fft", in float32 at least; "matmul", in the compute dtype and without
            complex numbers, for ONNX and LiteRT; or "auto", the faster one, "fft".
        data_format: "channels_last", "channels_first" or None for Keras' global setting.
        **kwargs: `name`, `dtype`, `trainable`.

    Attributes:
        kernel: the weight, of shape (height, width//2 + 1, channels, 2): real and imaginary part on
            half the spectrum in unshifted order, the layout of the published weights.

    Input shape:
        (batch, height, width, channels), or (batch, channels, height, width) with
        `data_format="channels_first"`; height and width may be unknown with a `size`, but not for
        "matmul".

    Output shape:
        The input shape.

    Raises:
        ValueError: for a bad argument, or an input of another rank or of unknown size.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.layers import GlobalFilter2D
    >>> layer = GlobalFilter2D()
    >>> x = np.random.default_rng(0).random((2, 8, 8, 3), dtype="float32")
    >>> y = layer(x)
    >>> tuple(layer.kernel.shape)
    (8, 5, 3, 2)
    >>> tuple(layer(np.ones((2, 12, 9, 3), "float32")).shape)
    (2, 12, 9, 3)
    """

    choices = {"implementation": IMPLEMENTATIONS}

    def __init__(
        self,
        *,
        size: int | Sequence[int] | None = None,
        kernel_initializer: Any = None,
        kernel_regularizer: Any = None,
        kernel_constraint: Any = None,
        implementation: str = "auto",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._size = None if size is None else check_size_pair("size", size)
        self.size = as_plain(size)
        check_identifiers(
            kernel_regularizer=kernel_regularizer, kernel_constraint=kernel_constraint
        )
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.implementation = check_choice("implementation", implementation, IMPLEMENTATIONS)
        self.data_format = check_data_format(data_format)

    def build(self, input_shape: Sequence[int | None]) -> None:
        axis = 3 if self.data_format == "channels_last" else 1
        size = self._check_size(input_shape)
        channels = input_shape[axis]
        if channels is None:
            raise ValueError(
                "GlobalFilter2D needs a known number of channels. "
                f"Received: input shape {tuple(input_shape)}"
            )
        self._size = self._size or size
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self._size[0], self._size[1] // 2 + 1, channels, 2),
            initializer=self.kernel_initializer or keras.initializers.RandomNormal(stddev=0.02),
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={axis: channels})
        self.built = True

    def _check_size(self, shape):
        known = self._size is None or self.implementation == "matmul"
        check = static_spatial_shape if known else spatial_shape
        why = (_WHY if self._size is None else _FIXED,) if known else ()
        return check(shape, self.data_format, "GlobalFilter2D", *why)

    def call(self, inputs: Any) -> Any:
        check_float_images(inputs, "GlobalFilter2D")
        self._check_size(inputs.shape)
        size = sizes_of(inputs, self.data_format)
        kernel = transfer(keras.ops.convert_to_tensor(self.kernel), self._size, size, half=True)
        return apply_filter(inputs, kernel, self.implementation, self.data_format)

    def resized(self, size: int | Sequence[int]) -> Self:
        """A layer with the weights for images of another size, which filters those as this one.

        Args:
            size: integer or pair (height, width).

        Raises:
            ValueError: the layer was not built.
        """
        check_built(self, "resized")
        size = check_size_pair("size", size)
        layer = self.from_config({**self.get_config(), "size": size})
        channels = self.kernel.shape[2]
        last = self.data_format == "channels_last"
        layer.build((None, *size, channels) if last else (None, channels, *size))
        layer.kernel.assign(transfer(self.kernel.value, self._size, size, half=True))
        return layer

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Any:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        initializer = self.kernel_initializer
        return {
            **super().get_config(),
            "size": self.size,
            "kernel_initializer": initializer and keras.initializers.serialize(initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "implementation": self.implementation,
            "data_format": self.data_format,
        }
