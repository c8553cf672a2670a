"""Between grey levels 0 to 255 and intensities in [0, 1]."""

import numpy as np

__all__ = ["luma", "sums_to_levels", "tint", "to_levels", "to_unit"]

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as OpenCV's


def to_unit(images: np.ndarray, dtype: type = np.float64) -> np.ndarray:
    """uint8 as floats in [0, 1]; in float64 the way there and back changes no level."""
    return np.divide(images, dtype(255), dtype=dtype)


def to_levels(images: np.ndarray) -> np.ndarray:
    """[0, 1] clipped, as uint8; cut off and not rounded, as the published generator does."""
    images = np.clip(images, 0, 1)
    images *= 255
    return images.astype(np.uint8)


def sums_to_levels(sums: np.ndarray, allowance: float = 1e-9) -> np.ndarray:
    """Sums of grey levels clipped and cut off, as uint8.

    Cut off after adding `allowance`: what is a whole level in exact arithmetic stays one, whatever
    the rounding of floats, which depends on the order of a sum.
    """
    return np.clip(sums + sums.dtype.type(allowance), 0, 255).astype(np.uint8)


def luma(images: np.ndarray) -> np.ndarray:
    """[..., C] as grey [..., 1]."""
    if images.shape[-1] == 1:
        return images
    red, green, blue = np.moveaxis(images, -1, 0)
    weights = np.asarray(LUMA, images.dtype)
    return (weights[0] * red + weights[1] * green + weights[2] * blue)[..., np.newaxis]


def tint(rgb: tuple[float, float, float], channels: int) -> np.ndarray:
    """A colour of three numbers as an array of `channels` numbers: itself, or its luma."""
    colour = np.asarray(rgb, np.float64)
    return colour if channels == 3 else luma(colour)
