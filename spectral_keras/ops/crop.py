"""Zero borders and random crops of a batch on the device that trains."""

from typing import Any

import keras
from keras import ops

from spectral_keras.ops.global_batch import global_draw
from spectral_keras.ops.validation import check_data_format

__all__ = ["random_crop", "zero_pad"]


def zero_pad(images: Any, border: int, data_format: str | None = None) -> Any:
    """The images with `border` zeros on every side."""
    spatial = ((border, border), (border, border))
    if check_data_format(data_format) == "channels_last":
        return ops.pad(images, ((0, 0), *spatial, (0, 0)))
    return ops.pad(images, ((0, 0), (0, 0), *spatial))


def random_crop(
    images: Any, height: int, width: int, seed: Any, data_format: str | None = None
) -> Any:
    """A window of each image, at a place of its own, every place with the same chance.

    Args:
        images: float tensor of rank 4, height and width known.
        height, width: size of the window, at most the images'.
        seed: `keras.random.SeedGenerator` (or an integer for a fixed draw).
        data_format: "channels_last", "channels_first" or None for Keras' global setting.

    Returns:
        Tensor of the images' dtype and the window's size.
    """
    channels_last = check_data_format(data_format) == "channels_last"
    axes = (1, 2) if channels_last else (2, 3)
    for axis, size in zip(axes, (height, width), strict=True):
        rest = images.shape[axis] - size
        if rest < 0:
            raise ValueError(
                f"A window of {height} x {width} does not fit. Received: images of shape "
                f"{tuple(images.shape)}"
            )
        if rest == 0:
            continue
        start = global_draw(
            keras.random.randint, (ops.shape(images)[0], 1), 0, rest + 1, "int32", seed
        )
        index = ops.arange(size, dtype="int32")[None] + start
        shape = [1] * 4
        shape[0], shape[axis] = -1, size
        index = ops.reshape(index, shape)
        target = [1 if n == axis else images.shape[n] for n in range(1, 4)]
        index = ops.tile(index, (1, *target))
        images = ops.take_along_axis(images, index, axis=axis)
    return images
