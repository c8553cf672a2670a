"""From a network's maps back to an image."""

import keras
from keras import layers

from spectral_keras.ops.validation import check_data_format, check_identifiers, check_positive_int

__all__ = ["build_decoder"]


def build_decoder(
    feature_shape: tuple[int, ...],
    image_shape: tuple[int, ...],
    final_activation: str | None = None,
    *,
    data_format: str | None = None,
    name: str = "decoder",
) -> keras.Model:
    """Transposed convolutions from maps to an image, each twice as large as the one before.

    The decoder of "Fourier transform as an auxiliary task": blocks of a transposed 3x3 convolution
    of stride 2 with bias, and ReLU, without batch normalisation or skip connections.  All
    blocks keep the number of channels of the maps but the last one, which has the image's.  Output
    pixel p of a block gets what input pixel i and tap t with 2 i + t - 1 = p give, as PyTorch's
    `ConvTranspose2d(kernel_size=3, stride=2, padding=1, output_padding=1)` does; so do the initial
    values: Kaiming-normal by PyTorch's fan-out (9 times the incoming channels), biases
    U(-1, 1) / sqrt(9 * outgoing channels).

    There are as many blocks as it takes to reach the image's size; a larger result is cropped to
    the centre.  The published code ends in a ReLU as well (`final_activation="relu"`), behind
    which neither phases nor normalised pixels below zero can be met; the default has none.

    The decoder computes in Keras' global precision, its last block in float32.

    Args:
        feature_shape: (height, width, channels) of the maps.
        image_shape: (height, width, channels) of the image, larger than the maps.
        final_activation: activation at the end, or None.
        data_format: "channels_last", "channels_first" (both shapes then start with the channels)
            or None for Keras' global setting.
        name: name of the model.

    Returns:
        A functional `keras.Model` with the layers block1, block1_align, block1_relu, ...

    Raises:
        ValueError: for a bad shape, or an image that is not larger than the maps.

    Example:

    >>> from spectral_keras.training import build_decoder
    >>> decoder = build_decoder((4, 4, 512), (32, 32, 2))
    >>> decoder.output_shape, decoder.count_params()
    ((None, 32, 32, 2), 4728834)
    """
    data_format = check_data_format(data_format)
    check_identifiers(final_activation=final_activation, name=name)
    *maps, channels = _sizes("feature_shape", feature_shape, data_format)
    *image, image_channels = _sizes("image_shape", image_shape, data_format)
    if maps[0] >= image[0] or maps[1] >= image[1]:
        raise ValueError(
            "`image_shape` must be larger than the maps in height and width. Received: "
            f"image_shape={tuple(image_shape)}, feature_shape={tuple(feature_shape)}"
        )
    blocks = 1
    while maps[0] << blocks < image[0] or maps[1] << blocks < image[1]:
        blocks += 1

    inputs = keras.Input(tuple(feature_shape), name="features")
    x = inputs
    if data_format == "channels_first":
        # Keras' own layer puts the bias along the width where that is the number of filters.
        x = layers.Permute((2, 3, 1), name="to_channels_last")(x)
    for number in range(1, blocks + 1):
        last = number == blocks
        x = _double(x, image_channels if last else channels, f"block{number}", last)
        activation = final_activation if last else "relu"
        if activation is not None:
            ending = activation if isinstance(activation, str) else "activation"
            dtype = _whole_dtype() if last else None
            x = layers.Activation(activation, dtype=dtype, name=f"block{number}_{ending}")(x)
    surplus = [(side << blocks) - want for side, want in zip(maps, image, strict=True)]
    if any(surplus):
        cut = tuple((extra // 2, extra - extra // 2) for extra in surplus)
        x = _crop(x, cut, _whole_dtype(), "crop")
    if data_format == "channels_first":
        x = layers.Permute((3, 1, 2), dtype=_whole_dtype(), name="to_channels_first")(x)
    return keras.Model(inputs, x, name=name)


def _double(x, outgoing, name, last):
    """A transposed 3x3 convolution from h x w to 2 h x 2 w."""
    bound = (9 * outgoing) ** -0.5
    dtype = _whole_dtype() if last else None
    # All taps of all pixels, 2 h + 1 rows: PyTorch's padding drops the first.  Keras' own "same"
    # padding drops the last instead.
    x = layers.Conv2DTranspose(
        outgoing,
        3,
        strides=2,
        padding="valid",
        # Keras' transposed kernel is (3, 3, outgoing, incoming): its fan-out is 9 * incoming.
        kernel_initializer=keras.initializers.VarianceScaling(
            2.0, mode="fan_out", distribution="untruncated_normal"
        ),
        bias_initializer=keras.initializers.RandomUniform(-bound, bound),
        data_format="channels_last",
        dtype=dtype,
        name=name,
    )(x)
    return _crop(x, ((1, 0), (1, 0)), dtype, f"{name}_align")


def _crop(x, cut, dtype, name):
    return layers.Cropping2D(cut, data_format="channels_last", dtype=dtype, name=name)(x)


def _whole_dtype():
    """float32 in half-precision models: raw magnitudes overflow a float16."""
    return "float64" if keras.config.dtype_policy().name == "float64" else "float32"


def _sizes(name, shape, data_format):
    """(height, width, channels) of a shape in either order."""
    shape = tuple(shape)
    if len(shape) != 3:
        order = "(height, width, channels)"
        if data_format == "channels_first":
            order = "(channels, height, width)"
        raise ValueError(f"`{name}` must be {order}. Received: {name}={shape!r}")
    shape = tuple(check_positive_int(name, size) for size in shape)
    return shape if data_format == "channels_last" else (*shape[1:], shape[0])
