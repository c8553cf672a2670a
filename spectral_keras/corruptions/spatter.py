"""Splashes of water or mud on the lens."""

from collections.abc import Sequence

import numpy as np

from spectral_keras.corruptions import filters
from spectral_keras.corruptions.edges import canny, chamfer_distance
from spectral_keras.corruptions.levels import tint, to_levels, to_unit
from spectral_keras.corruptions.streams import normal

__all__ = ["equalize", "spatter"]

WATER = (175 / 255, 238 / 255, 238 / 255)  # pale turquoise
MUD = (63 / 255, 42 / 255, 20 / 255)
_EMBOSS = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
_FARTHEST = 20  # distances from an edge are cut off here, pixels


def spatter(
    images: np.ndarray, constants: tuple[float, ...], rngs: Sequence[np.random.Generator]
) -> np.ndarray:
    """Water that glitters at its edges, added, or mud, in place of the image.

    In the generator the liquid's few values above 1 overflow when they become uint8, and turn from
    the brightest water into none; here they are clipped, on purpose. Only severity 3 of CIFAR-10-C
    has a noise that reaches 1.

    Args:
        images: uint8 [N, H, W, C].
        constants: mean and standard deviation of the noise; its smoothing; the threshold above
            which it is liquid; amount of water and 0, or smoothing of the mud's edge and 1.
        rngs: N generators.
    """
    mean, deviation, smoothing, threshold, amount, is_mud = constants
    size = (*images.shape[1:3], 1)
    liquid = normal(rngs, size, mean, deviation)
    liquid = filters.gaussian(liquid, smoothing)
    liquid[liquid < threshold] = 0
    images = to_unit(images, np.float32)
    if is_mud:
        cover = filters.gaussian((liquid > threshold).astype(np.float32), amount)
        cover[cover < 0.8] = 0
        return to_levels(images * (1 - cover) + cover * tint(MUD, images.shape[-1]))
    liquid = to_levels(liquid)
    glitter = liquid * _relief(liquid[..., 0])[..., np.newaxis]
    highest = glitter.max(axis=(1, 2, 3), keepdims=True)
    # No edge, no water: the generator divides by zero.
    glitter /= np.where(highest == 0, 1, highest)
    return to_levels(images + amount * glitter * tint(WATER, images.shape[-1]))


def _relief(liquid):
    """The distance from the edges of the liquid, uint8 [N, H, W], lit from the lower right."""
    distance = chamfer_distance(canny(liquid, 50, 150), _FARTHEST)
    # Float sums may miss a whole number by a hair, of which nothing would be left when cut off.
    distance = np.floor(_box(distance) + 1e-6).astype(np.uint8)
    relief = filters.correlate(equalize(distance)[..., np.newaxis].astype(np.int32), _EMBOSS)
    relief = np.clip(relief[..., 0], 0, 255)
    return np.rint(_box(relief.astype(np.float64)))


def _box(images):
    """Mean of 3 x 3 pixels of [N, H, W]."""
    return filters.correlate(images[..., np.newaxis], np.full((3, 3), 1 / 9))[..., 0]


def equalize(images: np.ndarray) -> np.ndarray:
    """Grey levels spread over 0 to 255 by their cumulative frequencies, as OpenCV does.

    The lowest level that occurs becomes 0, the highest 255; an image of one level stays.

    Args:
        images: uint8 [N, H, W].

    Returns:
        uint8 [N, H, W].
    """
    count = len(images)
    flat = images.reshape(count, -1).astype(np.int64)
    shifted = flat + 256 * np.arange(count)[:, np.newaxis]
    histogram = np.bincount(shifted.ravel(), minlength=256 * count).reshape(count, 256)
    lowest = flat.min(axis=1, keepdims=True)
    first = np.take_along_axis(histogram, lowest, axis=1)
    rest = flat.shape[1] - first
    cumulative = np.maximum(np.cumsum(histogram, axis=1) - first, 0)
    scale = np.float32(255) / np.maximum(rest, 1).astype(np.float32)
    levels = np.rint(cumulative.astype(np.float32) * scale)
    equal = np.take_along_axis(levels, flat, axis=1)
    return np.where(rest == 0, flat, equal).astype(np.uint8).reshape(images.shape)
