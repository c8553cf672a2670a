"""MobileNetV2 for CIFAR: Sandler et al. (2018), as in the auxiliary Fourier task.

    C32 3x3, 17 inverted bottlenecks (C 1x1, depthwise 3x3, C 1x1 without ReLU), C1280 1x1, GA, FC

Sides 32, 16, 8 and 4.  A block of stride 1 has a shortcut, through a 1x1 convolution where the
number of channels changes.  Batch normalisation after every convolution, none of which has a bias;
plain ReLU, not ReLU6.  2 296 922 trainable parameters with ten classes.
"""

from collections.abc import Sequence

import keras

from spectral_keras.models.backbones import (
    add_shortcut,
    begin,
    blocks,
    bottleneck,
    builder,
    finish,
    recipe,
)
from spectral_keras.models.blocks import scale_filters
from spectral_keras.models.poolings import Pooling

__all__ = ["RECIPE", "build"]

RECIPE = recipe("C32, 17 inverted bottlenecks of 16 to 320 filters, C1280(1x1) GA FC")

# Blocks, stride of the first one, expansion, filters.
STAGES = (
    (1, 1, 1, 16),
    (2, 1, 6, 24),
    (3, 2, 6, 32),
    (4, 2, 6, 64),
    (3, 1, 6, 96),
    (3, 2, 6, 160),
    (1, 1, 6, 320),
)


def build(
    input_shape: Sequence[int] = (32, 32, 3),
    num_classes: int = 10,
    *,
    pooling: Pooling = "strided",
    width: float = 1.0,
) -> keras.Model:
    """MobileNetV2, images in [0, 1] to logits.

    It has no option `conv`: but for the first layer's, its 3x3 kernels are depthwise.

    Args:
        input_shape: (height, width, channels).
        num_classes: number of logits.
        pooling: "strided" for depthwise convolutions of stride 2, as in the paper, or stride 1 and
            a pooling to the same sizes: see `spectral_keras.models.poolings`.
        width: factor on the numbers of filters, the last 1280 too.

    Returns:
        A functional `keras.Model`.  Layer "features" has the maps after the last ReLU, 4x4x1280 for
        32x32 images; the others are named stageS_blockB_depthwise_conv, ..._project_bn, ..._add.
    """
    block = builder(pooling=pooling)
    inputs, x = begin(input_shape)
    first, last = scale_filters(width, 32, 1280)
    x = block(x, first, 3, name="stem")
    for name, stride, (*_, expansion, size) in blocks(STAGES):
        (filters,) = scale_filters(width, size)
        y = bottleneck(x, filters, 3, stride, expansion=expansion, block=block, name=name)
        x = y if stride != 1 else add_shortcut(y, x, stride, block=block, name=name)
    x = block(x, last, 1, name="head")
    return finish(inputs, x, num_classes, "mobilenet_v2")
