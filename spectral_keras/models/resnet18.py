"""ResNet-18 for CIFAR: He, Zhang, Ren and Sun (2015), as in the auxiliary Fourier task.

    C64 3x3, then two blocks (C 3x3, C 3x3, + shortcut) each of 64, 128, 256 and 512 filters, GA, FC

Sides 32, 16, 8 and 4; each stage but the first halves its maps, unless `strides` says otherwise.
Batch normalisation after every convolution, none of which has a bias.  11 173 962
trainable parameters with ten classes.
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
from spectral_keras.ops.validation import describe

__all__ = ["RECIPE", "build"]

# The four stages have so many.
FILTERS = (64, 128, 256, 512)

RECIPE = recipe("C64 (C C +)x2 each of 64, 128, 256, 512; GA FC")


def build(
    input_shape: Sequence[int] = (32, 32, 3),
    num_classes: int = 10,
    *,
    conv: Literal["spatial", "spectral", "hermitian"] = "spatial",
    pooling: Pooling = "strided",
    strides: tuple[int, ...] = (1, 2, 2, 2),
    width: float = 1.0,
) -> keras.Model:
    """ResNet-18, images in [0, 1] to logits.

    Args:
        input_shape: (height, width, channels).
        num_classes: number of logits.
        conv: "spatial", "spectral" or "hermitian" parametrisation of the 3x3 kernels.
        pooling: "strided" for convolutions of stride 2, as in the paper, or stride 1 and
            a pooling to the same sizes: see `spectral_keras.models.poolings`.
        strides: of the first block of each stage; (1, 3, 2, 3) are the poor ones of DiffStride's
            authors (arXiv 2202.01653).
        width: factor on the numbers of filters.

    Returns:
        A functional `keras.Model`.  Layer "features" has the maps after the last ReLU, 4x4x512 for
        32x32 images; the others are named stageS_blockB_first_conv, ..._second_bn, ..._relu.

    Raises:
        ValueError: for a bad option.
    """
    block = builder(conv=conv, pooling=pooling)
    if len(strides) != len(FILTERS) or not all(stride in range(1, 9) for stride in strides):
        raise ValueError(
            f"`strides` must be {len(FILTERS)} integers from 1 to 8, one a stage. "
            f"Received: strides={describe(strides)}"
        )
    inputs, x = begin(input_shape)
    stages = [(2, *stage) for stage in zip(strides, scale_filters(width, *FILTERS), strict=True)]
    x = block(x, stages[0][2], 3, name="stem")
    for name, stride, (*_, filters) in blocks(stages):
        y = block(x, filters, 3, stride=stride, name=f"{name}_first")
        y = block(y, filters, 3, activation=None, name=f"{name}_second")
        x = activate(add_shortcut(y, x, stride, block=block, name=name), "relu", name)
    return finish(inputs, x, num_classes, "resnet18")
