"""Channel-wise attention after a network's first layer."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from spectral_keras.layers.batch_normalization import BatchNormalization
from spectral_keras.ops.validation import (
    check_bool,
    check_data_format,
    check_float_images,
    check_identifiers,
    check_positive_int,
)

__all__ = ["ChannelGate"]


@keras.saving.register_keras_serializable(package="spectral_keras")
class ChannelGate(keras.layers.Layer):
    """Opens and closes channels of a feature map, by what is in all of it.

        v = sigmoid(Dense(ReLU(Dense(mean over height and width of g(x))))),   y = v * x

    The channel-wise attention of Jia, Bao and Ma (arXiv 1911.12044, section 3.2), which sits after
    the first convolution (and its batch normalisation) in training and at inference.  Two dense
    layers with 512 hidden units; their activation is not stated, ReLU here.  `extended=True` is the
    form of section 3.3 for inputs with noise: a convolution and a batch normalisation come before
    the mean.

    `gap_activation=None` is the printed form, whose gate sees nothing but the mean of the image:
    docs/papers/frequency_interpretation.md.

    Args:
        hidden: units of the hidden layer.
        extended: whether a convolution and a batch normalisation come before the mean, with as many
            channels as the input.
        gap_activation: activation g in front of the mean, any of Keras; None for none.
        kernel_size: side of the convolution's kernel (the paper gives none).
        return_open_ratio: whether to return the mean of v along with the features, for the
            auxiliary loss lambda (mean(v) - beta)^2 of equation (10); the labels beta are in
            `spectral_keras.augmentation.open_ratio`.
        data_format: "channels_last", "channels_first" or None for Keras' global setting.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: float tensor of rank 4.
        training: whether batch normalisation uses and counts the statistics of the batch.

    Input shape:
        (batch, height, width, channels), or (batch, channels, height, width) with
        `data_format="channels_first"`; the number of channels known.

    Output shape:
        As the input.  With `return_open_ratio` a pair (features, ratio), ratio of shape (batch,),
        float32 (float64 with that policy).

    Raises:
        ValueError: an argument is out of its range, or the number of channels is unknown.

    Example:

    >>> import keras
    >>> from spectral_keras.layers import ChannelGate
    >>> inputs = keras.Input((32, 32, 3))
    >>> x = keras.layers.Conv2D(64, 3, padding="same")(inputs)
    >>> x, open_ratio = ChannelGate(return_open_ratio=True)(x)
    >>> x.shape, open_ratio.shape
    ((None, 32, 32, 64), (None,))
    """

    def __init__(
        self,
        hidden: int = 512,
        *,
        extended: bool = False,
        gap_activation: Any = "relu",
        kernel_size: int | Sequence[int] = 3,
        return_open_ratio: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.hidden = check_positive_int("hidden", hidden)
        self.extended = check_bool("extended", extended)
        check_identifiers(gap_activation=gap_activation)
        self.gap_activation = keras.activations.get(gap_activation)
        self.kernel_size = check_positive_int("kernel_size", kernel_size)
        self.return_open_ratio = check_bool("return_open_ratio", return_open_ratio)
        self.data_format = check_data_format(data_format)
        self._dense_policies: dict[str, Any] = {}

    def build(self, input_shape: Sequence[int | None]) -> None:
        input_shape = tuple(input_shape)
        if len(input_shape) != 4:
            raise ValueError(
                f"ChannelGate expects feature maps of rank 4. Received: input shape {input_shape}"
            )
        axis = self._channel_axis
        channels = input_shape[axis]
        if channels is None:
            raise ValueError(
                f"ChannelGate needs a known number of channels. Received: input shape {input_shape}"
            )
        policy, dense = self.dtype_policy, self._dense_policies
        if self.extended:
            # The batch normalisation has a bias.
            self.convolution = keras.layers.Conv2D(
                channels,
                self.kernel_size,
                padding="same",
                use_bias=False,
                data_format=self.data_format,
                dtype=policy,
                name="convolution",
            )
            self.normalization = BatchNormalization(axis=axis, dtype=policy, name="normalization")
            self.convolution.build(input_shape)
            self.normalization.build(input_shape)
        self.squeeze = keras.layers.Dense(
            self.hidden, activation="relu", dtype=dense.get("squeeze", policy), name="squeeze"
        )
        self.excite = keras.layers.Dense(
            channels, activation="sigmoid", dtype=dense.get("excite", policy), name="excite"
        )
        self.squeeze.build((None, channels))
        self.excite.build((None, self.hidden))
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={axis: channels})
        self.built = True

    @property
    def _channel_axis(self):
        return 3 if self.data_format == "channels_last" else 1

    def gate(self, inputs: Any, training: bool = False) -> Any:
        """The soft mask v in (0, 1).

        Args:
            inputs: features as in the call; the layer has to be built.
            training: as in the call.

        Returns:
            Tensor of shape (batch, channels).
        """
        x = inputs
        if self.extended:
            x = self.normalization(self.convolution(x), training=training)
        x = self.gap_activation(x)
        # In half precision the sum over a large map could overflow.
        dtype = keras.backend.result_type(x.dtype, "float32")
        spatial = (1, 2) if self.data_format == "channels_last" else (2, 3)
        means = ops.cast(ops.mean(ops.cast(x, dtype), axis=spatial), x.dtype)
        return self.excite(self.squeeze(means))

    def call(self, inputs: Any, training: bool = False) -> Any:
        check_float_images(inputs, "ChannelGate")
        gate = self.gate(inputs, training=training)
        axes = (1, 2) if self.data_format == "channels_last" else (2, 3)
        # Of another precision if the policy was changed after the layer was built.
        outputs = inputs * ops.expand_dims(ops.cast(gate, inputs.dtype), axes)
        if not self.return_open_ratio:
            return outputs
        return outputs, ops.mean(ops.cast(gate, self._ratio_dtype), axis=-1)

    @property
    def _ratio_dtype(self):
        return keras.backend.result_type(self.compute_dtype, "float32")

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Any:
        shape = tuple(input_shape)
        return (shape, shape[:1]) if self.return_open_ratio else shape

    def compute_output_spec(self, inputs: Any, training: bool = False) -> Any:
        features = keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)
        if not self.return_open_ratio:
            return features
        return features, keras.KerasTensor(inputs.shape[:1], dtype=self._ratio_dtype)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ChannelGate":
        config = dict(config)
        quantized = config.pop("quantized", {})
        layer = super().from_config(config)
        layer._dense_policies = {
            name: keras.dtype_policies.get(each["dtype"]) for name, each in quantized.items()
        }
        return layer

    def get_config(self) -> dict[str, Any]:
        # `quantize` of a model gives the dense layers policies of their own, and more weights.
        dense = (self.squeeze, self.excite) if self.built else ()
        quantized = {
            layer.name: {"dtype": keras.dtype_policies.serialize(layer.dtype_policy)}
            for layer in dense
            if layer.quantization_mode is not None
        }
        return {
            **super().get_config(),
            "hidden": self.hidden,
            "extended": self.extended,
            "gap_activation": keras.activations.serialize(self.gap_activation),
            "kernel_size": self.kernel_size,
            "return_open_ratio": self.return_open_ratio,
            "data_format": self.data_format,
            **({"quantized": quantized} if quantized else {}),
        }
