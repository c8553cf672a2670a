"""A learnable mask on the spectrum of images."""

from collections.abc import Sequence
from typing import Any, Self

import keras

from spectral_keras import constraints
from spectral_keras.layers.choices import NamedChoices
from spectral_keras.ops.masking import IMPLEMENTATIONS, apply_mask
from spectral_keras.ops.transfer import transfer
from spectral_keras.ops.validation import (
    check_bool,
    check_built,
    check_choice,
    check_data_format,
    check_float_images,
    check_identifiers,
    check_size_pair,
    static_spatial_shape,
)

__all__ = ["FourierMask"]


@keras.saving.register_keras_serializable(package="spectral_keras")
class FourierMask(NamedChoices, keras.layers.Layer):
    """Multiplies the spectrum of every image by one learnable real mask.

        y = Re F^-1(mask * F(x))

    over height and width (Karantzas et al., Frontiers in Artificial Intelligence 5:890016, 2022,
    section 2.2, arXiv 2203.08822).  Trained in front of a frozen network with an L1 penalty, the
    mask shows which frequencies the network needs.  The defaults are the paper's published
    code: a mask of ones, clipped to [0, 1] after every optimiser step, one mask for all
    channels.

    Taking the real part makes y depend on the even part (mask[k] + mask[-k]) / 2 only, so two
    entries k and -k always receive the same gradient, and a mask that starts even stays even.

    Args:
        initializer: initializer of the mask, default "ones" (the identity).
        constraint: constraint of the mask; "unit_interval" (the default) clips it to [0, 1], None
            leaves it free, or any Keras constraint.
        regularizer: regularizer of the mask.  The paper's penalty (lambda / (H W)) * sum |mask| is
            `keras.regularizers.L1(lambda / (H * W))`.
        per_channel: False for one mask of shape (height, width), True for one each channel, shape
            (height, width, channels) with either data format.
        implementation: "fft", computed in float32 at least; "matmul", the same by real matrix
            products in the compute dtype, without complex numbers, which ONNX and LiteRT can run;
            or "auto", the faster for the size.
        data_format: "channels_last", "channels_first" or None for Keras' global setting.
        **kwargs: `name`, `dtype`, `trainable`.

    Attributes:
        mask: the weight, in unshifted order (DC at [0, 0]; `numpy.fft.fftshift` for looking at).

    Input shape:
        (batch, height, width, channels), or (batch, channels, height, width) with
        `data_format="channels_first"`; height, width and channels known.

    Output shape:
        The input shape.

    Raises:
        ValueError: for a bad argument, or an input of another rank or of unknown size.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.layers.fourier_mask import FourierMask
    >>> layer = FourierMask()
    >>> x = np.random.default_rng(0).random((2, 8, 8, 3), dtype="float32")
    >>> bool(np.allclose(layer(x), x, atol=1e-6))
    True
    >>> mask = np.zeros((8, 8))
    >>> mask[0, 0] = 1
    >>> layer.set_weights([mask])  # the mean of each channel is left
    >>> bool(np.allclose(layer(x), x.mean((1, 2), keepdims=True), atol=1e-6))
    True
    """

    choices = {"implementation": IMPLEMENTATIONS}

    def __init__(
        self,
        *,
        initializer: Any = "ones",
        constraint: Any = "unit_interval",
        regularizer: Any = None,
        per_channel: bool = False,
        implementation: str = "auto",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_identifiers(constraint=constraint, regularizer=regularizer)
        self.initializer = keras.initializers.get(initializer)
        self.constraint = constraints.get(constraint)
        self.regularizer = keras.regularizers.get(regularizer)
        self.per_channel = check_bool("per_channel", per_channel)
        self.implementation = check_choice("implementation", implementation, IMPLEMENTATIONS)
        self.data_format = check_data_format(data_format)

    def build(self, input_shape: Sequence[int | None]) -> None:
        shape = static_spatial_shape(
            input_shape,
            self.data_format,
            "FourierMask",
            ": the mask has a weight for each frequency",
        )
        channel_axis = 3 if self.data_format == "channels_last" else 1
        channels = input_shape[channel_axis]
        if channels is None:
            raise ValueError(
                "FourierMask needs a known number of channels. "
                f"Received: input shape {tuple(input_shape)}"
            )
        self.mask = self.add_weight(
            name="mask",
            shape=(*shape, channels) if self.per_channel else shape,
            initializer=self.initializer,
            regularizer=self.regularizer,
            constraint=self.constraint,
            # The even part is taken in full precision, then cast.
            autocast=False,
        )
        self.input_spec = keras.layers.InputSpec(
            ndim=4, axes={axis: input_shape[axis] for axis in (1, 2, 3)}
        )
        self.built = True

    def call(self, inputs: Any) -> Any:
        check_float_images(inputs, "FourierMask")
        return apply_mask(
            inputs,
            self.mask,
            implementation=self.implementation,
            data_format=self.data_format,
        )

    def resized(self, size: int | Sequence[int]) -> Self:
        """A layer with this one's gains for images of another size.

        An entry belongs to a frequency in periods an image, see `spectral_keras.ops.transfer`;
        frequencies that are new take the gain of the last one that is there.

        Args:
            size: integer or pair (height, width).

        Returns:
            A built layer of the same arguments.

        Raises:
            ValueError: the layer was not built.
        """
        check_built(self, "resized")
        size = check_size_pair("size", size)
        shape = [None, *(self.input_spec.axes[axis] for axis in (1, 2, 3))]
        first = 1 if self.data_format == "channels_last" else 2
        shape[first : first + 2] = size
        layer = self.from_config(self.get_config())
        layer.build(tuple(shape))
        layer.mask.assign(transfer(self.mask.value, self.mask.shape[:2], size))
        return layer

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Any:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "initializer": keras.initializers.serialize(self.initializer),
            "constraint": keras.constraints.serialize(self.constraint),
            "regularizer": keras.regularizers.serialize(self.regularizer),
            "per_channel": self.per_channel,
            "implementation": self.implementation,
            "data_format": self.data_format,
        }
