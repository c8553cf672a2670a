"""VGG-11 with batch normalisation, as in Karantzas et al. (2022), for CIFAR and larger images.

    C64 MP C128 MP C256 C256 MP C512 C512 MP C512 C512 MP FC512 FC512 FC

Every C is 3x3 with bias, batch normalisation and ReLU, every MP 2x2/2: sides 32, 16, 8, 4, 2 and 1.
9 756 426 trainable parameters with ten classes, the head being the usual one for CIFAR.

The network of the Fourier masks is torchvision's, `--head imagenet`: averages on a grid of 7x7, two
hidden layers of 4096 units, dropout after each; 128 791 173 trainable parameters for its five
classes of grey images of 128x128.  (Its Imagenette was augmented by a random crop and a flip.)

Command: python -m models.vgg11_bn --dataset FOLDER --image-size 128 --grayscale --head imagenet
"""

from typing import Literal

from models._recipe import Recipe
from models._vgg import VGG11, build_vgg

RECIPE = Recipe(
    summary="C64 MP C128 MP C256x2 MP C512x2 MP C512x2 MP FC512 FC512 FC; BN after each C",
    paper="Fourier masks (Karantzas et al. 2022)",
    epochs=50,
    batch_size=128,
    optimizer="adam",
    learning_rate=1e-3,
    schedule="onecycle",
    warmup_epochs=5.0,
    augment="resized_crop,flip",
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
    """VGG-11-BN, images in [0, 1] to logits.

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
        "vgg11_bn",
        VGG11,
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

    main("vgg11_bn")
