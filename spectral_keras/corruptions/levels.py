"""Between grey levels 0 to 255 and intensities in [0, 1]."""

import numpy as np

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as OpenCV's


def to_unit(images, dtype=np.float64):
    """uint8 as floats in [0, 1]; in float64 the way there and back changes no level."""
    return np.divide(images, dtype(255), dtype=dtype)


def to_levels(images):
    """[0, 1] clipped, as uint8; cut off and not rounded, as the published generator does."""
    images = np.clip(images, 0, 1)
    images *= 255
    return images.astype(np.uint8)


def luma(images):
    """[..., C] as grey [..., 1]."""
    if images.shape[-1] == 1:
        return images
    red, green, blue = np.moveaxis(images, -1, 0)
    weights = np.asarray(LUMA, images.dtype)
    return (weights[0] * red + weights[1] * green + weights[2] * blue)[..., np.newaxis]


def tint(rgb, channels):
    """A colour of three numbers as an array of `channels` numbers: itself, or its luma."""
    rgb = np.asarray(rgb, np.float64)
    return rgb if channels == 3 else luma(rgb)
