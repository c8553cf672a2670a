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
    rows, columns = images.shape[1:3] if channels_last else images.shape[2:4]
    if rows < height or columns < width:
        raise ValueError(
            f"A window of {height} x {width} does not fit. Received: images of shape "
            f"{tuple(images.shape)}"
        )
    if not channels_last:
        images = ops.transpose(images, (0, 2, 3, 1))
    count, channels = ops.shape(images)[0], images.shape[3]
    if images.shape[0] == 0:  # JAX takes nothing from nothing
        images = images[:, :height, :width]
        return images if channels_last else ops.transpose(images, (0, 3, 1, 2))
    starts = []
    for size, rest in ((height, rows - height), (width, columns - width)):
        index = ops.arange(size, dtype="int32")[None]
        if rest:
            draw = global_draw(keras.random.randint, (count, 1), 0, rest + 1, "int32", seed)
            index = index + draw
        starts.append(index)
    # The pixels of the batch in one line: one gather, without an index for each channel.
    index = ops.arange(count, dtype="int32")[:, None, None] * (rows * columns)
    index = index + starts[0][:, :, None] * columns + starts[1][:, None, :]
    images = ops.take(ops.reshape(images, (-1, channels)), index, axis=0)
    return images if channels_last else ops.transpose(images, (0, 3, 1, 2))
