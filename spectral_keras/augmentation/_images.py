"""What the augmentations take and return."""

import numpy as np


def as_result(images, out):
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
            f"Received: out of shape {out.shape} and type {out.dtype}"
        )
    if images.dtype == np.uint8:
        np.multiply(images, np.float32(1 / 255), out=out)
    elif images is not out:
        out[...] = images
    return out
