"""The nine operations of AugMix on tensors, one an image: the views of single-image APR.

Autocontrast, equalise, posterise, rotate, solarise, shear and translate along both axes, as
Pillow has them and with the magnitudes of the code of "Amplitude-phase recombination" (Chen et
al., ICCV 2021), which are those of AugMix at severity 3.  None of them is one of the corruptions of
CIFAR-10-C.
"""

import math
from typing import Any

from keras import ops

__all__ = ["OPERATIONS", "SEVERITY", "augmix_view", "warp"]

OPERATIONS = (
    "autocontrast",
    "equalize",
    "posterize",
    "rotate",
    "solarize",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
)
# Magnitudes are uniform on (0.1, SEVERITY), in tenths of the largest.
SEVERITY = 3.0


def augmix_view(images: Any, operation: Any, level: Any, sign: Any) -> Any:
    """One operation for each image.

    Args:
        images: float tensor of shape (batch, height, width, channels) in [0, 1].
        operation: integer tensor of shape (batch,), places in `OPERATIONS`.
        level: float tensor of shape (batch,), in tenths of the largest magnitude.
        sign: float tensor of shape (batch,), 1 or -1, of a turn, shear or shift.

    Returns:
        Tensor of the shape and dtype of the images.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.ops.augmix_views import OPERATIONS, augmix_view
    >>> x = np.array([0.0, 0.25, 0.5, 0.75], "float32").reshape(1, 2, 2, 1)
    >>> y = augmix_view(x, [OPERATIONS.index("autocontrast")], np.array([1.0], "float32"), [1.0])
    >>> [round(float(value), 3) for value in np.ravel(y)]
    [0.0, 0.333, 0.667, 1.0]
    """
    images = ops.convert_to_tensor(images)
    operation = ops.convert_to_tensor(operation, dtype="int32")
    level = ops.cast(ops.convert_to_tensor(level), images.dtype)
    sign = ops.cast(ops.convert_to_tensor(sign), images.dtype)

    def chosen(name):
        return ops.equal(operation, OPERATIONS.index(name))

    height, width = images.shape[1:3]
    one = warp(images, _matrices(level, sign, chosen, height, width))
    level = level[:, None, None, None]
    for name, function in (
        ("autocontrast", lambda: _autocontrast(images)),
        ("equalize", lambda: _equalize(images)),
        ("posterize", lambda: _posterize(images, level)),
        ("solarize", lambda: _solarize(images, level)),
    ):
        one = ops.where(chosen(name)[:, None, None, None], function(), one)
    return one


def _whole(level, largest):
    """Pillow's whole numbers: degrees, pixels, bits, grey levels."""
    return ops.floor(level * (largest / 10))


def _matrices(level, sign, chosen, height, width):
    """(a, b, c, d, e, f) of each image; the identity of the operations on colours."""
    zero, unit = ops.zeros_like(level), ops.ones_like(level)
    turn = ops.where(chosen("rotate"), sign * _whole(level, 30) * (math.pi / 180), zero)
    cosine, sine = ops.cos(turn), ops.sin(turn)
    shear = sign * level * 0.03
    rows, columns = height / 2, width / 2
    return (
        ops.where(chosen("rotate"), cosine, unit),
        ops.where(chosen("shear_x"), shear, -sine),
        ops.where(
            chosen("translate_x"),
            sign * _whole(level, width / 3),
            columns - cosine * columns + sine * rows,
        ),
        ops.where(chosen("shear_y"), shear, sine),
        ops.where(chosen("rotate"), cosine, unit),
        ops.where(
            chosen("translate_y"),
            sign * _whole(level, height / 3),
            rows - sine * columns - cosine * rows,
        ),
    )


def warp(images: Any, matrices: Any) -> Any:
    """Show at each pixel (x, y) what is at (a x + b y + c, d x + e y + f), black outside.

    Coordinates are those of pixel centres, i + 1/2; between pixels linear, at the border the
    outermost pixel's value: Pillow's `Image.transform` with `BILINEAR`.

    Args:
        images: float tensor of shape (batch, height, width, channels).
        matrices: a, b, c, d, e, f, float tensors of shape (batch,).

    Returns:
        Tensor of the shape and dtype of the images.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.ops.augmix_views import warp
    >>> x = np.arange(3, dtype="float32").reshape(1, 1, 3, 1)
    >>> shift = [np.array([value], "float32") for value in (1, 0, 1, 0, 1, 0)]
    >>> np.ravel(warp(x, shift)).tolist()
    [1.0, 2.0, 0.0]
    """
    images = ops.convert_to_tensor(images)
    if images.shape[0] == 0:  # JAX takes nothing from nothing
        return images
    height, width, channels = images.shape[1:]
    a, b, c, d, e, f = (value[:, None, None] for value in matrices)
    x = ops.cast(ops.arange(width), images.dtype) + 0.5
    y = ops.cast(ops.arange(height), images.dtype)[:, None] + 0.5
    column, row = a * x + b * y + c, d * x + e * y + f
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    flat = ops.reshape(images, (-1, channels))
    first = ops.arange(ops.shape(images)[0], dtype="int32")[:, None, None] * (height * width)

    def pixel(row, column):
        row, column = ops.clip(row, 0, height - 1), ops.clip(column, 0, width - 1)
        return ops.take(flat, first + ops.cast(row * width + column, "int32"), axis=0)

    left, top = ops.floor(column - 0.5), ops.floor(row - 0.5)
    right_share = (column - 0.5 - left)[..., None]
    low_share = (row - 0.5 - top)[..., None]
    upper, lower = (
        pixel(top + i, left) * (1 - right_share) + pixel(top + i, left + 1) * right_share
        for i in (0, 1)
    )
    value = upper * (1 - low_share) + lower * low_share
    return ops.where(inside[..., None], value, ops.zeros_like(value))


def _autocontrast(images):
    # The ends of the range: an empty batch has neither.
    low = ops.min(images, axis=(1, 2), keepdims=True, initial=1.0)
    high = ops.max(images, axis=(1, 2), keepdims=True, initial=0.0)
    span = high - low
    return ops.where(span > 0, (images - low) / ops.where(span > 0, span, 1.0), images)


def _levels(images):
    return ops.round(255 * images)


def _equalize(images):
    height, width, channels = images.shape[1:]
    count = height * width
    planes = ops.reshape(ops.transpose(images, (0, 3, 1, 2)), (-1, count))
    levels = ops.cast(ops.clip(_levels(planes), 0, 255), "int32")
    # All planes in one sorted sequence: the place of a level is the number of darker pixels.
    number = ops.cast(ops.arange(ops.shape(planes)[0]), "int32")[:, None]
    keys = levels + 256 * number
    below = ops.searchsorted(ops.sort(ops.reshape(keys, (-1,))), ops.reshape(keys, (-1,)))
    below = ops.reshape(ops.cast(below, "int32"), (-1, count)) - count * number
    # All pixels but those of the brightest level, over the 255 steps.
    step = ops.max(below, axis=-1, keepdims=True, initial=0) // 255
    safe = ops.maximum(step, 1)
    equal = ops.cast(ops.minimum((safe // 2 + below) // safe, 255), images.dtype) / 255
    equal = ops.where(step > 0, equal, planes)
    return ops.transpose(ops.reshape(equal, (-1, channels, height, width)), (0, 2, 3, 1))


def _posterize(images, level):
    # 4 bits less a share of 4.
    step = 2.0 ** (4 + _whole(level, 4))
    return ops.floor(_levels(images) / step) * step / 255


def _solarize(images, level):
    return ops.where(_levels(images) < 256 - _whole(level, 256), images, 1 - images)
