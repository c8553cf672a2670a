"""The spectral pooling network: eq. (5) of Rippel, Snoek and Adams (2015).

(C^{96+32m} 3x3 -> SP to floor(gamma H_m))_{m=1..M} -> C^{96+32M} 1x1 -> C^{10/100} 1x1 -> GA
"""

from collections.abc import Sequence
from typing import Literal

import keras
from keras import layers

from spectral_keras.layers import SpectralPool
from spectral_keras.models.blocks import (
    classify_maps,
    convolution,
    normalize,
    scale_filters,
    spatial_size,
)
from spectral_keras.models.recipe import Recipe
from spectral_keras.ops.frequencies import floor_of_fraction
from spectral_keras.ops.frequency_dropout import frequency_dropout_floor
from spectral_keras.ops.validation import check_choice, check_number, check_positive_int

__all__ = ["RECIPE", "build"]

RECIPE = Recipe(
    summary="(C SP)xM C(1x1) C10(1x1) GA, frequency dropout",
    paper="Rippel et al. 2015, eq. (5); the report, section V.B",
)

# No pooling below this side: floor(gamma h) < h for every gamma < 1, so a long chain of layers
# would shrink the maps to a point.
SMALLEST_SIDE = 3


# What max pooling has no use for, with its defaults.
_OF_SPECTRAL_POOLING = {"alpha": 0.30, "beta": 0.15, "norm": "mean"}
# Each takes some milliseconds to build, and after a dozen or two the maps have their smallest size.
_MOST_PAIRS = 1000


def build(
    input_shape: Sequence[int] = (32, 32, 3),
    num_classes: int = 10,
    *,
    num_pairs: int = 6,
    gamma: float = 0.85,
    alpha: float = 0.30,
    beta: float = 0.15,
    kernel_size: int = 3,
    max_filters: int = 288,
    conv: Literal["spectral", "hermitian", "orthogonal", "spatial"] = "spatial",
    pooling: Literal["spectral", "max"] = "spectral",
    norm: Literal["mean", "ortho"] = "mean",
    dropout_rate: float = 0.0,
    width: float = 1.0,
) -> keras.Model:
    """The spectral pooling network, images in [0, 1] to logits.

    Args:
        input_shape: (height, width, channels).
        num_classes: number of logits.
        num_pairs: M, the number of convolution and spectral pooling pairs.  The original does not
            say which M its best network had.
        gamma: side of each pooling's output over the side of its input, floor(gamma H); the
            paper's best is 0.85.  Maps are not pooled below a side of 3.
        alpha, beta: frequency dropout keeps at least the fraction
            c_m = alpha + (m/M)(beta - alpha) of the side in layer m; the paper's best are 0.30
            and 0.15.  alpha = beta = 1 switches it off.
        kernel_size: of the convolutions that are not 1x1.
        max_filters: cap of 96 + 32 m filters.
        conv: "spatial", "spectral", "hermitian" or "orthogonal" (a control: see `SpectralConv2D`)
            parametrisation of the kernels.
        pooling: "spectral", or "max" for the twin of equal sizes and weights: adaptive max pooling,
            output i of n from the inputs floor(i N / n) to ceil((i + 1) N / n), which at
            gamma = 0.5 is plain 2x2 max pooling.  It has no frequencies to drop: other values of
            alpha, beta and norm than the defaults are refused there.
        norm: "mean" keeps the mean of a map through the pooling, "ortho" is the original's
            unitary pair (see `SpectralPool`).
        dropout_rate: ordinary dropout after each pooling, none in the original.
        width: factor on the numbers of filters; 1 is the paper's network.

    Returns:
        A functional `keras.Model`; ReLU after every convolution and pooling, none on the logits.
        Weights with conv="spatial", 3x3, ten classes, M = 1..8: 21 386; 215 434; 503 722;
        904 682; 1 436 746; 2 118 346; 2 865 130; 3 611 914.
    """
    check_positive_int("num_pairs", num_pairs)
    check_positive_int("kernel_size", kernel_size)
    check_positive_int("max_filters", max_filters)
    check_number("gamma", gamma, 0, 1, low_open=True)
    check_choice("pooling", pooling, ("spectral", "max"))
    if num_pairs > _MOST_PAIRS:
        raise ValueError(
            f"`num_pairs` must be at most {_MOST_PAIRS}. Received: num_pairs={num_pairs}"
        )
    own = {"alpha": alpha, "beta": beta, "norm": norm}
    if pooling == "max" and own != _OF_SPECTRAL_POOLING:
        name = next(name for name in own if own[name] != _OF_SPECTRAL_POOLING[name])
        raise ValueError(
            f'`{name}` changes nothing with pooling="max". Received: {name}={own[name]!r}'
        )
    inputs = keras.Input(input_shape, name="image")
    x = normalize(inputs)
    for m in range(1, num_pairs + 1):
        (filters,) = scale_filters(width, min(96 + 32 * m, max_filters))
        x = convolution(x, filters, kernel_size, conv=conv, name=f"conv{m}")
        size = tuple(
            max(floor_of_fraction(gamma, side), min(side, SMALLEST_SIDE))
            for side in spatial_size(x)
        )
        floor = frequency_dropout_floor(m, num_pairs, alpha, beta)
        if pooling == "max":
            if 1 in size:
                # TensorFlow's kernel kills the process there (Keras 3.15).
                raise ValueError(
                    '`pooling="max"` needs images of at least 2 x 2 pixels. '
                    f"Received: input_shape={tuple(input_shape)}"
                )
            x = layers.AdaptiveMaxPooling2D(size, name=f"pool{m}")(x)
        else:
            x = SpectralPool(
                size, norm=norm, frequency_dropout=floor if floor < 1 else None, name=f"pool{m}"
            )(x)
        x = layers.ReLU(name=f"pool{m}_relu")(x)
        if dropout_rate:
            x = layers.Dropout(dropout_rate, name=f"pool{m}_dropout")(x)
    x = convolution(x, filters, 1, conv=conv, name=f"conv{num_pairs + 1}")
    return keras.Model(inputs, classify_maps(x, num_classes, conv=conv), name="spectral_pool_cnn")
