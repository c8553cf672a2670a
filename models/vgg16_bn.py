"""VGG-16 with batch normalisation for CIFAR, as in Jia, Bao and Ma (2019).

    C64 C64 MP C128 C128 MP (C256)x3 MP (C512)x3 MP (C512)x3 MP FC512 FC512 FC

Every C is 3x3 with bias, batch normalisation and ReLU, every MP 2x2/2: sides 32, 16, 8, 4, 2 and 1.
15 253 578 trainable parameters with ten classes.  Jia et al. ("Exploring frequency domain
interpretation of convolutional neural networks") do not say how they fitted the network to CIFAR;
this is the usual form, with dropout before each hidden layer.  `--head imagenet` is the original's:
averages on a grid of 7x7, two hidden layers of 4096 units, dropout after each.

Command: python -m models.vgg16_bn --dataset cifar10 --precision bfloat16
"""

from typing import Literal

from models._vgg import VGG16, build_vgg, cifar_recipe

RECIPE = cifar_recipe(
    "C64x2 MP C128x2 MP C256x3 MP C512x3 MP C512x3 MP FC512 FC512 FC; BN after each C"
)


def build(
    input_shape=(32, 32, 3),
    num_classes=10,
    *,
    conv: Literal["spatial", "spectral", "hermitian"] = "spatial",
    pooling: Literal["max", "spectral"] = "max",
    head: Literal["compact", "imagenet"] = "compact",
    dropout_rate: float = 0.5,
    width: float = 1.0,
):
    """VGG-16-BN, images in [0, 1] to logits.

    Args:
        input_shape: (height, width, channels), at least 32 pixels a side.
        num_classes: number of logits.
        conv: "spatial", "spectral" or "hermitian" parametrisation of the kernels.
        pooling: "max" (2x2/2, as in the paper) or "spectral" (to the same sizes).
        head: "compact": the global average of the last maps, which at 32x32 are one pixel, and
            two hidden layers of 512 units, so that the number of weights is the same for images
            of any size; "imagenet": means on a grid of 7x7 and two hidden layers of 4096 units.
        dropout_rate: of the two dropouts of the head.
        width: factor on the numbers of filters and of hidden units.

    Returns:
        A functional `keras.Model`.  Layer "features" has the maps after the last ReLU, before the
        last pooling, 2x2x512 for 32x32 images; the others are named block1_conv1, block1_bn1,
        block1_relu1, ..., block1_pool, ..., dense1, dense2.

    Raises:
        ValueError: for a bad option, or images of fewer than 32 pixels a side.
    """
    return build_vgg(
        "vgg16_bn",
        VGG16,
        input_shape,
        num_classes,
        batch_norm=True,
        conv=conv,
        pooling=pooling,
        head=head,
        dropout_rate=dropout_rate,
        width=width,
    )


if __name__ == "__main__":
    from models._train import main

    main("vgg16_bn")
