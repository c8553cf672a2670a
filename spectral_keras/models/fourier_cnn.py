"""The end-to-end spectral network: every convolution and every pooling in the frequency domain.

    (FC^{w} FCP^{w}, half the side)_{w = 64, 128, 192} -> FCP^{10/100} 1x1 to the DC bin

FC is a circular convolution computed as a product of spectra, FCP the same with its product cropped
before the one inverse transform (`FFTConvPool2D`): the network that the report names as its future
work (section VI), after the discussion of Rippel, Snoek and Adams (2015), section 6.

815 434 parameters with ten classes (2 260 298 with kernel_size=5).  A training step of 128 images
is 5.9 times as fast as that of `deep_spectral` with plain convolutions in float32, 5.2 times in
bfloat16 (two CPU cores), and takes as long with 5x5 kernels as with 3x3.
"""

from collections.abc import Sequence

import keras
from keras import layers

from spectral_keras.layers import FFTConvPool2D
from spectral_keras.models.blocks import logits_dtype, normalize, spatial_size
from spectral_keras.models.recipe import Recipe
from spectral_keras.ops.frequencies import floor_of_fraction
from spectral_keras.ops.validation import check_number, check_positive_int

__all__ = ["RECIPE", "build"]

RECIPE = Recipe(
    summary="(FC FCP)x3 FCP(1x1) to the DC bin: all in the frequency domain",
    paper="the report's future work, section VI; Rippel et al. 2015, section 6",
)


def build(
    input_shape: Sequence[int] = (32, 32, 3),
    num_classes: int = 10,
    *,
    widths: tuple[int, ...] = (64, 128, 192),
    kernel_size: int = 3,
    pool_scale: float = 0.5,
) -> keras.Model:
    """The end-to-end spectral network, images in [0, 1] to logits.

    Each stage has two convolutions, of which the second also pools.  What happens in space are
    the rectifiers.  The last layer keeps one frequency of a 1x1 convolution, its mean: the global
    average is read from the DC bin.

    Args:
        input_shape: (height, width, channels).
        num_classes: number of logits.
        widths: filters of the stages.
        kernel_size: of the convolutions, which are circular; any size at much the same cost.
        pool_scale: side of a stage's output over the side of its input, in (0, 1].

    Returns:
        A functional `keras.Model`, ReLU after every layer but the last.
    """
    check_positive_int("kernel_size", kernel_size)
    check_number("pool_scale", pool_scale, 0, 1, low_open=True)
    if not widths:
        raise ValueError(f"`widths` must name at least one stage. Received: widths={widths!r}")
    inputs = keras.Input(input_shape, name="image")
    x = normalize(inputs)
    for stage, filters in enumerate(widths, start=1):
        check_positive_int("widths", filters)
        size = spatial_size(x)
        smaller = tuple(floor_of_fraction(pool_scale, side) for side in size)
        for part, output_size in (("a", size), ("b", smaller)):
            x = FFTConvPool2D(
                filters,
                kernel_size,
                output_size,
                activation="relu",
                kernel_initializer="he_uniform",
                name=f"conv{stage}{part}",
            )(x)
    x = FFTConvPool2D(num_classes, 1, 1, dtype=logits_dtype(), name="logits_mean")(x)
    logits = layers.Flatten(name="logits", dtype=logits_dtype())(x)
    return keras.Model(inputs, logits, name="fourier_cnn")
