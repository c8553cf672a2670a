"""The VGG networks: Simonyan and Zisserman (2015), for CIFAR and larger images.

"Very deep convolutional networks for large-scale image recognition", columns A and D:

    vgg11_bn   C64 MP C128 MP (C256)x2 MP (C512)x2 MP (C512)x2 MP FC512 FC512 FC
    vgg16(_bn) (C64)x2 MP (C128)x2 MP (C256)x3 MP (C512)x3 MP (C512)x3 MP FC512 FC512 FC

Every C is 3x3 with bias, in the networks with _bn a batch normalisation, and ReLU; every MP is
2x2/2: sides 32, 16, 8, 4, 2 and 1.  The head is the usual one for CIFAR, with dropout before each
hidden layer; `head="imagenet"` is the original's: averages on a grid of 7x7, two hidden layers of
4096 units, dropout after each.

Layers as in torchvision, with a bias in every convolution, also before a batch normalisation, whose
epsilon is 1e-5 and which takes 10 % of each batch into its moving averages.  What Keras does
otherwise: its moving variance is the biased one.

The start: convolutions Kaiming-normal by fan-out, batch normalisation 1 and 0, biases 0.  Dense
layers of the ImageNet head N(0, 0.01^2) and 0, as torchvision's; those of the compact head, kernel
and bias, U(-1, 1) / sqrt(fan_in), PyTorch's default, which the usual CIFAR forms leave as it is.
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import keras
import numpy as np
from keras import layers, ops

from spectral_keras.layers import BatchNormalization, SpectralPool
from spectral_keras.models.backbones import TAP, begin, channel_axis
from spectral_keras.models.blocks import (
    convolution,
    dropout,
    logits_dtype,
    scale_filters,
    spatial_size,
)
from spectral_keras.models.recipe import Recipe
from spectral_keras.ops.validation import check_choice, check_number

__all__ = ["RECIPES", "adaptive_average", "vgg11_bn", "vgg16", "vgg16_bn"]

# Convolutions and filters of each block (columns A and D of the paper's Table 1).
VGG11 = ((1, 64), (1, 128), (2, 256), (2, 512), (2, 512))
VGG16 = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
# Units of the two hidden layers.
HIDDEN = {"compact": 512, "imagenet": 4096}
# Side of the maps that the ImageNet head flattens.
GRID = 7


# Jia, Bao and Ma do not say how they fitted the network to CIFAR; this is the usual form.  PyTorch
# adds its decay of 5e-4 to the gradient, so that the momentum 0.9 multiplies it by ten; Keras
# decays the weights directly: 5e-3 is the same pull.
_JIA = Recipe(
    summary="C64x2 MP C128x2 MP C256x3 MP C512x3 MP C512x3 MP FC512 FC512 FC",
    paper="frequency interpretation (Jia et al. 2019), Tables 1 and 2",
    epochs=90,
    batch_size=128,
    optimizer="sgd",
    learning_rate=0.01,
    momentum=0.9,
    weight_decay=5e-3,
    schedule="thirds",
    augment="crop_flip",
)

RECIPES = {
    "vgg11_bn": Recipe(
        summary="C64 MP C128 MP C256x2 MP C512x2 MP C512x2 MP FC512 FC512 FC; BN after each C",
        paper="Fourier masks (Karantzas et al. 2022)",
        epochs=50,
        batch_size=128,
        optimizer="adam",
        learning_rate=1e-3,
        schedule="onecycle",
        warmup_epochs=5.0,
        augment="resized_crop,flip",
    ),
    "vgg16": _JIA,
    "vgg16_bn": dataclasses.replace(_JIA, summary=f"{_JIA.summary}; BN after each C"),
}


def vgg11_bn(
    input_shape: Sequence[int] = (32, 32, 3),
    num_classes: int = 10,
    *,
    conv: Literal["spatial", "spectral", "hermitian"] = "spatial",
    pooling: Literal["max", "spectral"] = "max",
    head: Literal["compact", "imagenet"] = "compact",
    dropout_rate: float = 0.5,
    width: float = 1.0,
) -> keras.Model:
    """VGG-11 with batch normalisation, images in [0, 1] to logits.

    9 756 426 trainable weights with ten classes.  The network of the Fourier masks is
    torchvision's, `head="imagenet"`: 128 791 173 for five classes of grey images of 128x128.

    Args:
        input_shape: (height, width, channels), at least 32 pixels a side.
        num_classes: number of logits.
        conv: "spatial", "spectral" or "hermitian" parametrisation of the kernels.
        pooling: "max" (2x2/2, as in the paper) or "spectral" (to the same sizes).
        head: "compact": the global average of the last maps, which at 32x32 are one pixel, and
            two hidden layers of 512 units, so that the number of weights is the same for images
            of any size; "imagenet": means on a grid of 7x7 and two hidden layers of 4096 units.
        dropout_rate: of the two dropouts of the head.
        width: factor on the numbers of filters and of hidden units.

    Returns:
        A functional `keras.Model`.  Layer "features" has the maps after the last ReLU, before the
        last pooling, 2x2x512 for 32x32 images; the others are named block1_conv1, block1_bn1,
        block1_relu1,
        ..., block1_pool, ..., dense1, dense2.

    Raises:
        ValueError: for a bad option, or images of fewer than 32 pixels a side.
    """
    return _build(
        "vgg11_bn",
        VGG11,
        input_shape,
        num_classes,
        batch_norm=True,
        conv=conv,
        pooling=pooling,
        head=head,
        dropout_rate=dropout_rate,
        width=width,
    )


def vgg16(
    input_shape: Sequence[int] = (32, 32, 3),
    num_classes: int = 10,
    *,
    conv: Literal["spatial", "spectral", "hermitian"] = "spatial",
    pooling: Literal["max", "spectral"] = "max",
    head: Literal["compact", "imagenet"] = "compact",
    dropout_rate: float = 0.5,
    width: float = 1.0,
) -> keras.Model:
    """VGG-16, images in [0, 1] to logits: 15 245 130 trainable weights with ten classes.

    Arguments, layer names and errors are those of `vgg11_bn`, without the batch normalisations.
    """
    return _build(
        "vgg16",
        VGG16,
        input_shape,
        num_classes,
        batch_norm=False,
        conv=conv,
        pooling=pooling,
        head=head,
        dropout_rate=dropout_rate,
        width=width,
    )


def vgg16_bn(
    input_shape: Sequence[int] = (32, 32, 3),
    num_classes: int = 10,
    *,
    conv: Literal["spatial", "spectral", "hermitian"] = "spatial",
    pooling: Literal["max", "spectral"] = "max",
    head: Literal["compact", "imagenet"] = "compact",
    dropout_rate: float = 0.5,
    width: float = 1.0,
) -> keras.Model:
    """VGG-16 with batch normalisation, images in [0, 1] to logits.

    15 253 578 trainable weights with ten classes.

    Arguments, layer names and errors are those of `vgg11_bn`.
    """
    return _build(
        "vgg16_bn",
        VGG16,
        input_shape,
        num_classes,
        batch_norm=True,
        conv=conv,
        pooling=pooling,
        head=head,
        dropout_rate=dropout_rate,
        width=width,
    )


def _build(
    name,
    blocks,
    input_shape,
    num_classes,
    *,
    batch_norm,
    conv="spatial",
    pooling="max",
    head="compact",
    dropout_rate=0.5,
    width=1.0,
):
    """A VGG network, images in [0, 1] to logits.

    Args:
        name: of the model.
        blocks: (convolutions, filters) of each block.
        input_shape: (height, width, channels), at least 2^5 pixels a side for five blocks.
        num_classes: number of logits.
        batch_norm: whether a batch normalisation follows each convolution.
        conv: "spatial", "spectral" or "hermitian" parametrisation of the kernels.
        pooling: "max" (2x2/2) or "spectral", to the same sizes.
        head: "compact" or "imagenet", see `vgg11_bn`.
        dropout_rate: of the two dropouts of the head.
        width: factor on the numbers of filters and of hidden units.

    Returns:
        A functional `keras.Model`.
    """
    check_choice("pooling", pooling, ("max", "spectral"))
    check_choice("head", head, tuple(HIDDEN))
    check_number("dropout_rate", dropout_rate, 0, 1, high_open=True)
    inputs, x = begin(input_shape)
    least = 2 ** len(blocks)
    if min(spatial_size(inputs)) < least:
        raise ValueError(
            f"`input_shape` must have a height and a width of at least {least}, as {len(blocks)} "
            f"poolings halve them. Received: input_shape={tuple(input_shape)}"
        )
    filters = scale_filters(width, *(size for _, size in blocks))
    for number, ((count, _), size) in enumerate(zip(blocks, filters, strict=True), start=1):
        for i in range(1, count + 1):
            x = _conv_bn_relu(x, size, conv, batch_norm, f"block{number}_{{}}{i}")
        if number == len(blocks):
            x = layers.Identity(name=TAP)(x)
        x = _halve(x, pooling, f"block{number}_pool")
    x = (_compact if head == "compact" else _imagenet)(x, width, dropout_rate)
    start = _dense_start(head, x.shape[-1])
    logits = layers.Dense(num_classes, **start, name="logits", dtype=logits_dtype())(x)
    return keras.Model(inputs, logits, name=name)


def _conv_bn_relu(x, filters, conv, batch_norm, name):
    """Layers block1_conv1, block1_bn1 and block1_relu1 for the name block1_{}1."""
    start = keras.initializers.VarianceScaling(
        2.0, mode="fan_out", distribution="untruncated_normal"
    )
    x = convolution(
        x,
        filters,
        3,
        conv=conv,
        activation=None,
        kernel_initializer=start,
        name=name.format("conv"),
    )
    if batch_norm:
        x = BatchNormalization(
            axis=channel_axis(), momentum=0.9, epsilon=1e-5, name=name.format("bn")
        )(x)
    return layers.Activation("relu", name=name.format("relu"))(x)


def _halve(x, pooling, name):
    """2x2/2 max pooling, or spectral pooling to its size: half the side, rounded down."""
    if pooling == "spectral":
        return SpectralPool(tuple(side // 2 for side in spatial_size(x)), name=name)(x)
    return layers.MaxPooling2D(2, name=name)(x)


def _compact(x, width, rate):
    """Global average, then twice: dropout, dense, ReLU."""
    x = layers.GlobalAveragePooling2D(name="average")(x)
    for index, units in enumerate(scale_filters(width, *[HIDDEN["compact"]] * 2), start=1):
        x = dropout(x, rate, f"dropout{index}")
        x = _dense_relu(x, units, "compact", index)
    return x


def _imagenet(x, width, rate):
    """Averages on a grid of 7x7, then twice: dense, ReLU, dropout."""
    x = adaptive_average(x, GRID)
    x = layers.Flatten(data_format="channels_last", name="flatten")(x)
    for index, units in enumerate(scale_filters(width, *[HIDDEN["imagenet"]] * 2), start=1):
        x = _dense_relu(x, units, "imagenet", index)
        x = dropout(x, rate, f"dropout{index}")
    return x


def _dense_relu(x, units, head, index):
    start = _dense_start(head, x.shape[-1])
    x = layers.Dense(units, **start, name=f"dense{index}")(x)
    return layers.Activation("relu", name=f"dense{index}_relu")(x)


def _dense_start(head, fan_in):
    if head == "imagenet":
        return {"kernel_initializer": keras.initializers.RandomNormal(stddev=0.01)}
    return {
        f"{part}_initializer": keras.initializers.RandomUniform(-(fan_in**-0.5), fan_in**-0.5)
        for part in ("kernel", "bias")
    }


def adaptive_average(x: keras.KerasTensor, size: int) -> keras.KerasTensor:
    """PyTorch's `AdaptiveAvgPool2d(size)`: maps of any size to means over windows, size x size.

    Window i of an axis of length n reaches from floor(i n / size) to ceil((i + 1) n / size); the
    windows overlap where n is no multiple of `size`, and repeat pixels where it is smaller.  One
    product with the table of all windows.  (Keras' layer of this name takes the bounds of the
    windows from float32 quotients on JAX, and gives NaN at 7 -> 7.)

    Args:
        x: symbolic image tensor of known height and width.
        size: rows and columns of the result.

    Returns:
        Tensor [N, size * size, channels], row after row, in either data format.
    """
    height, width = spatial_size(x)
    if channel_axis() == 1:
        x = layers.Permute((2, 3, 1), name="average_permute")(x)
    x = layers.Reshape((height * width, x.shape[-1]), name="average_pixels")(x)
    windows = np.kron(_windows(height, size), _windows(width, size))
    return ops.matmul(windows.astype(logits_dtype()), x)


def _windows(length, size):
    """The matrix [size, length] that takes a signal to its means over the windows."""
    index = np.arange(size)
    starts, ends = index * length // size, -(-(index + 1) * length // size)
    pixels = np.arange(length)
    inside = (pixels >= starts[:, np.newaxis]) & (pixels < ends[:, np.newaxis])
    return inside / inside.sum(axis=1, keepdims=True)
