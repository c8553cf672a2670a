"""The generic network: eq. (6) of Rippel, Snoek and Adams (2015), the report's first architecture.

C96 MP3/2 C192 MP3/2 FC1024 FC512 Softmax
"""

from collections.abc import Sequence
from typing import Literal

import keras
from keras import layers

from spectral_keras.models.blocks import (
    convolution,
    dropout,
    halve,
    logits_dtype,
    normalize,
    scale_filters,
)
from spectral_keras.models.recipe import Recipe
from spectral_keras.ops.validation import check_choice, check_number, check_positive_int

__all__ = ["RECIPE", "build"]

RECIPE = Recipe(
    summary="C96 MP C192 MP FC1024 FC512",
    paper="Rippel et al. 2015, eq. (6); the report's generic network",
)


def build(
    input_shape: Sequence[int] = (32, 32, 3),
    num_classes: int = 10,
    *,
    conv: Literal["spectral", "hermitian", "orthogonal", "spatial"] = "spectral",
    kernel_size: Literal[3, 5] = 3,
    pooling: Literal["max", "spectral"] = "max",
    dense_units: tuple[int, ...] = (1024, 512),
    padding: Literal["same", "valid"] = "same",
    dropout_rate: float = 0.0,
    width: float = 1.0,
) -> keras.Model:
    """The generic network, images in [0, 1] to logits.

    Args:
        input_shape: (height, width, channels).
        num_classes: number of logits.
        conv: "spectral", "hermitian", "orthogonal" (a control: see `SpectralConv2D`) or "spatial"
            parametrisation of the kernels.
        kernel_size: 3 or 5.
        pooling: "max" (3x3/2, as in the paper) or "spectral" (to the same sizes).
        dense_units: widths of the hidden fully connected layers: (1024, 512) is the original,
            (1024,) the shorter form that the report prints.
        padding: of the two poolings; the paper gives none.
        dropout_rate: dropout after each pooling and hidden layer.
        width: factor on the numbers of filters and hidden units; 1 is the paper's network.

    Returns:
        A functional `keras.Model` with ReLU after every layer but the last.  13 282 634 weights
        with conv="spatial", 3x3, ten classes.
    """
    check_choice("kernel_size", kernel_size, (3, 5))
    check_choice("padding", padding, ("same", "valid"))
    check_number("dropout_rate", dropout_rate, 0, 1, high_open=True)
    inputs = keras.Input(input_shape, name="image")
    x = normalize(inputs)
    for index, filters in enumerate(scale_filters(width, 96, 192), start=1):
        x = convolution(x, filters, kernel_size, conv=conv, name=f"conv{index}")
        x = halve(x, pooling=pooling, name=f"pool{index}", padding=padding)
        x = dropout(x, dropout_rate, f"dropout{index}")
    x = layers.Flatten(name="flatten")(x)
    for units in dense_units:
        check_positive_int("dense_units", units)
    for index, units in enumerate(scale_filters(width, *dense_units), start=1):
        x = layers.Dense(
            units, activation="relu", kernel_initializer="he_uniform", name=f"dense{index}"
        )(x)
        x = dropout(x, dropout_rate, f"dense_dropout{index}")
    logits = layers.Dense(num_classes, name="logits", dtype=logits_dtype())(x)
    return keras.Model(inputs, logits, name="generic_cnn")
