"""EfficientNet-B0 for CIFAR: Tan and Le (2019), as in the auxiliary Fourier task.

    C32 3x3, 16 inverted bottlenecks (C 1x1, depthwise 3x3 or 5x5, channel gate, C 1x1), GA, FC

Sides 32, 16, 8, 4 and 2, and no wide 1x1 convolution at the end.  Swish (SiLU) after every batch
normalisation but the last of a block, dropout before the last layer, drop-connect in the blocks
with a shortcut.  3 598 598 trainable parameters with ten classes: the paper's code counts
3 599 686, with the 1088 of an expansion in the first block that it makes and never calls.
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
from spectral_keras.models.blocks import dropout, scale_filters
from spectral_keras.models.poolings import Pooling
from spectral_keras.ops.validation import check_number

__all__ = ["RECIPE", "build"]

RECIPE = recipe("C32, 16 inverted bottlenecks of 16 to 320 filters with channel gates, GA FC")

# Blocks, stride of the first one, expansion, filters, kernel size.
STAGES = (
    (1, 1, 1, 16, 3),
    (2, 2, 6, 24, 3),
    (2, 2, 6, 40, 5),
    (3, 2, 6, 80, 3),
    (3, 1, 6, 112, 5),
    (4, 2, 6, 192, 5),
    (1, 1, 6, 320, 3),
)
BLOCKS = sum(stage[0] for stage in STAGES)
# Units of a gate's hidden layer over the channels of the block's input.
SQUEEZE = 0.25


def build(
    input_shape: Sequence[int] = (32, 32, 3),
    num_classes: int = 10,
    *,
    dropout_rate: float = 0.2,
    drop_connect: float = 0.2,
    pooling: Pooling = "strided",
    width: float = 1.0,
) -> keras.Model:
    """EfficientNet-B0, images in [0, 1] to logits.

    It has no option `conv`: but for the first layer's, its larger kernels are depthwise.

    Args:
        input_shape: (height, width, channels).
        num_classes: number of logits.
        dropout_rate: dropout before the last layer.
        drop_connect: block b of 16, from 0, leaves out its path beside the shortcut for
            drop_connect * b / 16 of the samples of a training step, and is scaled up for the rest.
            In the network's own code b stays 0 by a slip, and so do all rates: 0 is that network.
        pooling: "strided" for depthwise convolutions of stride 2, as in the paper, or stride 1 and
            a pooling to the same sizes: see `spectral_keras.models.poolings`.
        width: factor on the numbers of filters.

    Returns:
        A functional `keras.Model`.  Layer "features" has the last block's output, 2x2x320 for 32x32
        images, which is linear: behind a batch normalisation, no activation.  The others are named
        stageS_blockB_depthwise_conv, ..._se_scale, ..._project_bn, ..._drop_connect, ..._add.
    """
    check_number("dropout_rate", dropout_rate, 0, 1, high_open=True)
    check_number("drop_connect", drop_connect, 0, 1, high_open=True)
    block = builder(pooling=pooling, activation="silu")
    inputs, x = begin(input_shape)
    (first,) = scale_filters(width, 32)
    x = block(x, first, 3, name="stem")
    for index, (name, stride, stage) in enumerate(blocks(STAGES)):
        _, _, expansion, size, kernel_size = stage
        (filters,) = scale_filters(width, size)
        y = bottleneck(
            x,
            filters,
            kernel_size,
            stride,
            expansion=expansion if expansion > 1 else None,
            squeeze=SQUEEZE,
            block=block,
            name=name,
        )
        if stride == 1 and y.shape == x.shape:
            rate = drop_connect * index / BLOCKS
            y = dropout(y, rate, f"{name}_drop_connect", noise_shape=(None, 1, 1, 1))
            y = add_shortcut(y, x, stride, block=block, name=name)
        x = y
    return finish(inputs, x, num_classes, "efficientnet_b0", dropout_rate)
