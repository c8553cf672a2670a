"""A network for minutes: the cheapest known recipe for CIFAR-10, with spectral pooling.

    W24 (C M SP C)x3 of 64, 256, 256 GM FC

Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU" (arXiv 2404.00498): a fixed
whitening convolution of 2x2, three groups of two 3x3 convolutions, a batch normalisation without
scale after each, the maximum over the last maps and a linear layer scaled by 1/9.  Convolutions
start as the identity of their inputs, Dirac's kernels, in as many filters as there are inputs.

What is ours.  The pooling: the maximum over each 2x2 window at every position, and spectral pooling
in place of the stride, as Zhang 2019 (arXiv 1904.11486) blurs before a stride: it has no aliasing
but that of the maximum, and can leave maps of any size.  A linear pooling alone follows the
activation, since between two convolutions it would be a strided convolution and no more.  In two
epochs with half of the filters, one seed, on 5 000 held-out images of CIFAR-10: 82.2 % with both,
80.8 % with spectral pooling alone, 82.4 % with max pooling; with both to 18, 9 and 4 pixels, for
half as much computation again, 84.0 %.  The activation: x sigmoid(1.702 x), a third of the cost of
the exact GELU on a CPU.  The learning rate: 1.4 times the paper's at half its batch (the weights
decay as fast).  Four epochs with half of the filters, one seed, on 10 000 held-out images: 88.0 %,
at twice the paper's rate 87.9 %, with SiLU 88.1 %, without Lookahead 86.7 %, without any of the
three 87.0 %.  The whitening convolution has no bias.
"""

import functools
from collections.abc import Sequence
from typing import Any, Literal, get_args

import keras
from keras import layers

from spectral_keras.activations import quick_gelu
from spectral_keras.initializers import DiracInitializer
from spectral_keras.layers import BatchNormalization
from spectral_keras.models.backbones import TAP, begin, channel_axis
from spectral_keras.models.blocks import convolution, logits_dtype, scale_filters, spatial_size
from spectral_keras.models.poolings import LINEAR, Pooling, pool
from spectral_keras.models.recipe import Recipe
from spectral_keras.models.whitening import IMAGES, whitening_kernel
from spectral_keras.ops.validation import check_choice, describe

__all__ = ["RECIPE", "adapt", "build"]

FILTERS = (64, 256, 256)
# The side of the whitening convolution, and the share of a side that a pooling leaves.
PATCH, HALF = 2, 2

# The maximum at every position, and then a linear pooling.
MaxPooling = Literal["max_spectral", "max_blur", "max_windowed", "max_learned", "max_diffstride"]

# Learning rate and decay of the paper, 11.5 and 0.0153 for 1024 images and the sum of their losses,
# would here be 0.75 and 0.0089: for the mean loss of a batch of 512 and Keras' decay of the weights
# themselves, by the product of both.  Higher rates by 1.4 and 2 were as good in a short run.
RECIPE = Recipe(
    summary="W24 (C M SP C)x3 of 64, 256, 256 GM FC; BN and QuickGELU after each C",
    paper="Jordan 2024, arXiv 2404.00498",
    epochs=10,
    batch_size=512,
    optimizer="sgd",
    learning_rate=1.05,
    momentum=0.85,
    nesterov=True,
    weight_decay=0.00636,
    bias_rate=64.0,
    schedule="triangle",
    lookahead=5,
    label_smoothing=0.2,
    augment="reflect_crop,alternating_flip",
    tta="mirror_translate",
)


def build(
    input_shape: Sequence[int] = (32, 32, 3),
    num_classes: int = 10,
    *,
    pooling: Literal[MaxPooling, Pooling] = "max_spectral",
    conv: Literal["spatial", "spectral", "hermitian"] = "spatial",
    activation: Literal["quick_gelu", "gelu", "silu", "relu"] = "quick_gelu",
    sizes: tuple[int, ...] = (),
    width: float = 1.0,
) -> keras.Model:
    """The quick network, images in [0, 1] to logits.

    1 971 328 trainable weights with ten classes.

    Args:
        input_shape: (height, width, channels), at least 9 pixels a side.
        num_classes: number of logits.
        pooling: "max_spectral", the maximum over 2x2 at every position, then spectral pooling, or
            with another pooling in its place: "max_blur", "max_windowed", "max_learned",
            "max_diffstride"; "max" (2x2/2) as in the paper; all these before the first
            normalisation of a group.  One of `spectral_keras.models.poolings.Linear`, after its
            first activation.  "strided", first convolutions of stride 2, which rounds the sides
            up: 16, 8 and 4.
        conv: "spatial", "spectral" or "hermitian" parametrisation of the 3x3 kernels.
        activation: after each normalisation; "gelu" is the paper's.
        sizes: of those with spectral pooling, the side of the maps after each of the three
            poolings (of images that are not square: of the shorter side); empty for half the
            side each time, rounded down: 15, 7 and 3 for images of 32 pixels.
        width: factor on the numbers of filters.

    Returns:
        A functional `keras.Model`.  Layer "features" has the last maps, 3x3x256; "whiten" is the
        fixed convolution, whose kernel `adapt` computes from images; the others are named
        group1_conv1, group1_bn1, group1_act1, group1_pool, group1_conv2, ...

    Raises:
        ValueError: for a bad option, `sizes` that do not shrink or are not for spectral pooling, or
            images of fewer than 9 pixels a side.
    """
    check_choice("pooling", pooling, get_args(MaxPooling) + get_args(Pooling))
    check_choice("activation", activation, ("quick_gelu", "gelu", "silu", "relu"))
    inputs, x = begin(input_shape)
    if min(spatial_size(inputs)) < HALF ** len(FILTERS) + PATCH - 1:
        raise ValueError(
            "`input_shape` must have a height and a width of at least 9, as three poolings halve "
            f"the whitened maps. Received: input_shape={tuple(input_shape)}"
        )
    channels = inputs.shape[channel_axis()]
    x = layers.Conv2D(
        2 * PATCH * PATCH * channels, PATCH, use_bias=False, trainable=False, name="whiten"
    )(x)
    x = _activate(x, activation, "whiten_act")
    targets = _sizes(spatial_size(x), sizes, pooling)
    choices = {"pooling": pooling, "conv": conv, "activation": activation}
    for number, (filters, size) in enumerate(
        zip(scale_filters(width, *FILTERS), targets, strict=True), start=1
    ):
        x = _group(x, filters, size, f"group{number}", **choices)
    x = layers.Identity(name=TAP)(x)
    x = layers.GlobalMaxPooling2D(name="maximum")(x)
    x = layers.Rescaling(1 / 9, name="scale", dtype=logits_dtype())(x)
    spread = x.shape[-1] ** -0.5
    logits = layers.Dense(
        num_classes,
        use_bias=False,
        kernel_initializer=keras.initializers.RandomUniform(-spread, spread),
        name="logits",
        dtype=logits_dtype(),
    )(x)
    return keras.Model(inputs, logits, name="quick_spectral")


def adapt(model: keras.Model, images: Any) -> None:
    """Set the fixed kernel of the first convolution, from training images.

    Args:
        model: of `build`.
        images: array [N, height, width, channels], uint8 or floats in [0, 1], or
            `StreamedImages`; the first 5000 are used.
    """
    model.get_layer("whiten").set_weights([whitening_kernel(images[:IMAGES], PATCH)])


def _sizes(size, sizes, pooling):
    """(height, width) after each pooling."""
    if not sizes:
        halves = []
        for _ in FILTERS:
            size = tuple(side // HALF for side in size)
            halves.append(size)
        return halves
    if pooling.removeprefix("max_") not in ("spectral", "windowed", "learned"):
        raise ValueError(
            "`sizes` must be empty: only spectral pooling takes them. "
            f"Received: sizes={sizes}, pooling={pooling!r}"
        )
    if len(sizes) != len(FILTERS) or not all(
        1 <= new <= old for new, old in zip(sizes, (min(size), *sizes), strict=False)
    ):
        raise ValueError(
            f"`sizes` must be {len(FILTERS)} sides, none larger than the one before, the first at "
            f"most {min(size)}. Received: sizes={describe(sizes)}"
        )
    return [tuple(max(1, round(each * side / min(size))) for side in size) for each in sizes]


def _group(x, filters, size, name, *, pooling, conv, activation):
    """Convolution, pooling, normalisation, activation and once more without the pooling."""
    linear = pooling.removeprefix("max_")
    half = functools.partial(pool, stride=HALF, padding="valid", size=size, name=f"{name}_pool")
    x = _convolution(x, filters, conv, f"{name}_conv1", HALF if pooling == "strided" else 1)
    if pooling != linear:
        x = layers.MaxPooling2D(HALF, 1, padding="same", name=f"{name}_max")(x)
        x = half(x, linear)
    elif pooling == "max":
        x = half(x, "max")
    x = _normalize_activate(x, activation, name, 1)
    if pooling in LINEAR:
        x = half(x, pooling)
    x = _convolution(x, filters, conv, f"{name}_conv2")
    return _normalize_activate(x, activation, name, 2)


def _convolution(x, filters, conv, name, stride=1):
    return convolution(
        x,
        filters,
        3,
        conv=conv,
        name=name,
        strides=stride,
        activation=None,
        use_bias=False,
        kernel_initializer=DiracInitializer(
            keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
        ),
    )


def _normalize_activate(x, activation, name, number):
    x = BatchNormalization(
        axis=channel_axis(), scale=False, momentum=0.6, epsilon=1e-5, name=f"{name}_bn{number}"
    )(x)
    return _activate(x, activation, f"{name}_act{number}")


def _activate(x, activation, name):
    return layers.Activation(quick_gelu if activation == "quick_gelu" else activation, name=name)(x)
