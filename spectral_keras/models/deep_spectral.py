"""The deep network: eq. (7) of Rippel, Snoek and Adams (2015), the report's second architecture.

C96 C96 MP3/2 C192 C192 C192 MP3/2 C192(1x1) C10/100(1x1) GA Softmax
"""

from collections.abc import Sequence
from typing import Literal

import keras

from spectral_keras.models.blocks import (
    classify_maps,
    convolution,
    dropout,
    halve,
    normalize,
    scale_filters,
)
from spectral_keras.models.recipe import Recipe
from spectral_keras.ops.validation import check_choice, check_number

__all__ = ["RECIPE", "build"]

RECIPE = Recipe(
    summary="C96 C96 MP C192x3 MP C192(1x1) C10(1x1) GA",
    paper="Rippel et al. 2015, eq. (7); the report's deep network",
)


def build(
    input_shape: Sequence[int] = (32, 32, 3),
    num_classes: int = 10,
    *,
    conv: Literal["spectral", "hermitian", "orthogonal", "spatial"] = "spectral",
    kernel_size: Literal[3, 5] = 3,
    pooling: Literal["max", "spectral"] = "max",
    padding: Literal["same", "valid"] = "same",
    dropout_rate: float = 0.0,
    width: float = 1.0,
) -> keras.Model:
    """The deep network, images in [0, 1] to logits.

    Args:
        input_shape: (height, width, channels), at least 8 x 8.
        num_classes: number of logits.
        conv: "spectral" for spectrally parametrised kernels, "hermitian" for the same without the
            redundant half, "orthogonal" for a random basis in place of the Fourier one (a
            control: see `SpectralConv2D`), "spatial" for plain ones.  They have the same function
            class and, with one seed, the same start.
        kernel_size: 3 or 5, of the convolutions that are not 1x1.
        pooling: "max" (3x3/2, as in the paper) or "spectral" (to the same sizes).
        padding: "same", or "valid" as in the report's code, where a 32x32 image shrinks to 30, 28,
            13, 11, 9, 7 and 3: 2.3 times fewer operations.  The paper gives no padding.
        dropout_rate: dropout after each pooling; the papers name dropout without its rate.
        width: factor on the numbers of filters; 1 is the paper's network.

    Returns:
        A functional `keras.Model`, ReLU after every convolution but the last.  954 730 weights
        with conv="spatial", 3x3, ten classes, whatever the padding.
    """
    check_choice("kernel_size", kernel_size, (3, 5))
    check_choice("padding", padding, ("same", "valid"))
    check_number("dropout_rate", dropout_rate, 0, 1, high_open=True)
    narrow, wide = scale_filters(width, 96, 192)
    inputs = keras.Input(input_shape, name="image")
    x = normalize(inputs)
    x = convolution(x, narrow, kernel_size, conv=conv, padding=padding, name="conv1")
    x = convolution(x, narrow, kernel_size, conv=conv, padding=padding, name="conv2")
    x = halve(x, pooling=pooling, padding=padding, name="pool1")
    x = dropout(x, dropout_rate, "dropout1")
    for index in (3, 4, 5):
        x = convolution(x, wide, kernel_size, conv=conv, padding=padding, name=f"conv{index}")
    x = halve(x, pooling=pooling, padding=padding, name="pool2")
    x = dropout(x, dropout_rate, "dropout2")
    x = convolution(x, wide, 1, conv=conv, name="conv6")
    return keras.Model(inputs, classify_maps(x, num_classes, conv=conv), name="deep_spectral")
