"""What the augmentations take, draw and return."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["Part", "as_result", "sample"]

# (number of images of a batch, rows of it: indices or a slice).
Part = tuple[int, Any]


def as_result(images: ArrayLike, out: np.ndarray | None) -> np.ndarray:
    """The images as float32 in [0, 1] in an array that may be written to: `out` or a new one."""
    images = np.asarray(images)
    if images.ndim != 4:
        raise ValueError(
            f"`images` must have shape [N, height, width, channels]. "
            f"Received: images of shape {images.shape}"
        )
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise ValueError(
            f"`images` must be uint8 in [0, 255] or floats in [0, 1]. "
            f"Received: images of type {images.dtype}"
        )
    if out is None:
        out = np.empty(images.shape, np.float32)
    elif out.shape != images.shape or out.dtype != np.float32 or not out.flags.c_contiguous:
        raise ValueError(
            f"`out` must be a contiguous float32 array of shape {images.shape}. "
            f"Received: out of shape {out.shape}, type {out.dtype} and strides {out.strides}"
        )
    if images.dtype == np.uint8:
        np.multiply(images, np.float32(1 / 255), out=out)
    elif images is not out:
        out[...] = images
    return out


def sample(draw: Callable[[int], Any], images: Any, part: Part | None) -> np.ndarray:
    """The draws of these images: one for each along the last axis.

    Args:
        draw: function of a number of images that gives their draws.
        images: images, as many as draws are wanted.
        part: None, or (count, rows): the images are `rows` of a batch of `count`, for all of which
            they are made, so that these get what they would get there.
    """
    if part is None:
        return draw(len(images))
    count, rows = part
    draws = draw(count)[..., rows]
    if draws.shape[-1] != len(images):
        raise ValueError(
            f"`part` must name {len(images)} rows, one for each image. "
            f"Received: {draws.shape[-1]} rows of a batch of {count}"
        )
    return draws
