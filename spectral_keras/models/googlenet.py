"""GoogLeNet for CIFAR: Szegedy et al. (2015), as in the auxiliary Fourier task.

    C192 3x3, Inception a3 b3, MP, a4 b4 c4 d4 e4, MP, a5 b5, GA, FC

An Inception block joins four branches: C 1x1; C 1x1, C 3x3; C 1x1, C 3x3, C 3x3; MP 3x3/1, C 1x1.
Sides 32, 16 and 8.  Batch normalisation after every convolution, all of which have a bias.
6 166 250 trainable parameters with ten classes.
"""

from collections.abc import Sequence
from typing import Literal

import keras
from keras import layers

from spectral_keras.models.backbones import begin, builder, channel_axis, finish, max_pool, recipe
from spectral_keras.models.blocks import scale_filters

__all__ = ["RECIPE", "build"]

RECIPE = recipe("C192 Ix2 MP Ix5 MP Ix2 GA FC; I: 1x1, 3x3, two 3x3 and MP in parallel")

# Filters of a block: 1x1; 1x1, 3x3; 1x1, 3x3 (twice); 1x1 after the pooling.
INCEPTION = {
    "a3": (64, 96, 128, 16, 32, 32),
    "b3": (128, 128, 192, 32, 96, 64),
    "a4": (192, 96, 208, 16, 48, 64),
    "b4": (160, 112, 224, 24, 64, 64),
    "c4": (128, 128, 256, 24, 64, 64),
    "d4": (112, 144, 288, 32, 64, 64),
    "e4": (256, 160, 320, 32, 128, 128),
    "a5": (256, 160, 320, 32, 128, 128),
    "b5": (384, 192, 384, 48, 128, 128),
}
# Poolings, before these blocks.
POOLED = {"a4": "pool3", "a5": "pool4"}


def build(
    input_shape: Sequence[int] = (32, 32, 3),
    num_classes: int = 10,
    *,
    conv: Literal["spatial", "spectral", "hermitian"] = "spatial",
    pooling: Literal["max", "spectral"] = "max",
    width: float = 1.0,
) -> keras.Model:
    """GoogLeNet, images in [0, 1] to logits.

    Args:
        input_shape: (height, width, channels).
        num_classes: number of logits.
        conv: "spatial", "spectral" or "hermitian" parametrisation of the 3x3 kernels.
        pooling: of the two poolings that halve the maps: "max" (3x3/2, as in the paper) or
            "spectral" (to the same sizes).
        width: factor on the numbers of filters.

    Returns:
        A functional `keras.Model`.  Layer "features" has the maps of the last block, 8x8x1024 for
        32x32 images; the blocks' outputs are "a3" to "b5", their layers named a3_double_a_conv.
    """
    block = builder(conv=conv, use_bias=True)
    inputs, x = begin(input_shape)
    (filters,) = scale_filters(width, 192)
    x = block(x, filters, 3, name="stem")
    for name, sizes in INCEPTION.items():
        if name in POOLED:
            x = max_pool(x, pooling=pooling, name=POOLED[name])
        x = _inception(x, scale_filters(width, *sizes), block, name)
    return finish(inputs, x, num_classes, "googlenet")


def _inception(x, sizes, block, name):
    point, reduce_single, single, reduce_double, double, projected = sizes
    single_path = block(x, reduce_single, 1, name=f"{name}_single_reduce")
    double_path = block(x, reduce_double, 1, name=f"{name}_double_reduce")
    double_path = block(double_path, double, 3, name=f"{name}_double_a")
    pooled = layers.MaxPooling2D(3, 1, padding="same", name=f"{name}_pool")(x)
    branches = [
        block(x, point, 1, name=f"{name}_point"),
        block(single_path, single, 3, name=f"{name}_single"),
        block(double_path, double, 3, name=f"{name}_double_b"),
        block(pooled, projected, 1, name=f"{name}_pool_project"),
    ]
    return layers.Concatenate(axis=channel_axis(), name=name)(branches)
