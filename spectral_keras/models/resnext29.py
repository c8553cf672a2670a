"""ResNeXt-29 (2x64d) for CIFAR: Xie et al. (2017), as in the auxiliary Fourier task.

    C64 1x1, then three blocks (C 1x1, C 3x3 in two groups, C 1x1, + shortcut) each of 128, 256 and
    512 filters inside and twice as many outside, GA, FC

Sides 32, 16 and 8; the second and the third stage halve their maps.  Batch normalisation after
every convolution, none of which has a bias.  9 128 778 trainable parameters with ten classes.
"""

from collections.abc import Sequence
from typing import Literal

import keras

from spectral_keras.models.backbones import (
    activate,
    add_shortcut,
    begin,
    blocks,
    builder,
    finish,
    recipe,
)
from spectral_keras.models.blocks import scale_filters
from spectral_keras.models.poolings import Pooling

__all__ = ["RECIPE", "build"]

RECIPE = recipe("C64(1x1) (C(1x1) C(3x3, 2 groups) C(1x1) +)x3 each of 256, 512, 1024; GA FC")

# Groups of a 3x3 convolution; filters of each group in the three stages, in all groups together
# half of those outside.
CARDINALITY = 2
GROUP_WIDTHS = (64, 128, 256)
EXPANSION = 2


def build(
    input_shape: Sequence[int] = (32, 32, 3),
    num_classes: int = 10,
    *,
    pooling: Pooling = "strided",
    conv: Literal["spatial", "spectral", "hermitian"] = "spatial",
    width: float = 1.0,
) -> keras.Model:
    """ResNeXt-29, images in [0, 1] to logits.

    Args:
        input_shape: (height, width, channels).
        num_classes: number of logits.
        pooling: "strided" for convolutions of stride 2, as in the paper, or stride 1 and
            a pooling to the same sizes: see `spectral_keras.models.poolings`.
        conv: "spatial", "spectral" or "hermitian" parametrisation of the 3x3 kernels.
        width: factor on the numbers of filters of the first layer and of a group.

    Returns:
        A functional `keras.Model`.  Layer "features" has the maps after the last ReLU, 8x8x1024 for
        32x32 images; the others are named stageS_blockB_reduce_conv, ..._grouped_bn, ..._relu.
    """
    stem, *group_widths = scale_filters(width, 64, *GROUP_WIDTHS)
    block = builder(conv=conv, pooling=pooling)
    inputs, x = begin(input_shape)
    x = block(x, stem, 1, name="stem")
    stages = zip((3, 3, 3), (1, 2, 2), group_widths, strict=True)
    for name, stride, (*_, group_width) in blocks(stages):
        inner = CARDINALITY * group_width
        y = block(x, inner, 1, name=f"{name}_reduce")
        y = block(y, inner, 3, stride=stride, groups=CARDINALITY, name=f"{name}_grouped")
        y = block(y, EXPANSION * inner, 1, activation=None, name=f"{name}_expand")
        x = add_shortcut(y, x, stride, block=block, name=name)
        x = activate(x, "relu", name)
    return finish(inputs, x, num_classes, "resnext29")
