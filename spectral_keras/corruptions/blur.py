"""Blurs: Gaussian, out of focus, frosted glass, motion and zoom."""

from collections.abc import Sequence

import numpy as np

from spectral_keras.corruptions import filters
from spectral_keras.corruptions.levels import sums_to_levels
from spectral_keras.corruptions.streams import draw

__all__ = [
    "defocus_blur",
    "gaussian_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "zoom_factors",
]

_LARGE = 9  # sides of larger kernels are worth a DFT


def gaussian_blur(images: np.ndarray, sigma: float, rngs: object = None) -> np.ndarray:
    """Gaussian of the standard deviation `sigma`, pixels; uint8 [N, H, W, C] in and out."""
    return sums_to_levels(filters.gaussian(images.astype(np.float64), sigma))


def defocus_blur(
    images: np.ndarray, constants: tuple[float, float], rngs: object = None
) -> np.ndarray:
    """Correlation with a disk.

    Args:
        images: uint8 [N, H, W, C].
        constants: radius and smoothing of `filters.disk`.
        rngs: not used.
    """
    kernel = filters.disk(*constants)
    correlate = filters.correlate_by_cosines if len(kernel) > _LARGE else filters.correlate
    return sums_to_levels(correlate(images.astype(np.float64), kernel))


def glass_blur(
    images: np.ndarray, constants: tuple[float, int, int], rngs: Sequence[np.random.Generator]
) -> np.ndarray:
    """Blur, let pixels take the place of near ones, blur again.

    Args:
        images: uint8 [N, H, W, C].
        constants: standard deviation; farthest move d; rounds of moves.
        rngs: N generators.
    """
    sigma, farthest, rounds = constants
    blurred = gaussian_blur(images, sigma)
    for _ in range(rounds):
        blurred = _move_pixels(blurred, farthest, rngs)
    return gaussian_blur(blurred, sigma)


def _move_pixels(images, farthest, rngs):
    """One round: each pixel is overwritten by one that lies -d to d - 1 rows and columns on.

    Quirks of the generator, which goes through the pixels from the last to the first: it means to
    swap two pixels, but swaps views of one array, which copies one over the other; it never moves
    by +d; and it leaves out d + 1 rows and columns at the start, and d - 1 at the end.

    A pixel copies what lies at its target by then. If the target comes later in the image it has
    been overwritten before; so the sources are found by following the targets for as long as they
    lead on to overwritten pixels, for all pixels at once and in steps that double.
    """
    count, height, width, channels = images.shape
    rows, columns = max(0, height - 2 * farthest), max(0, width - 2 * farthest)
    if not rows or not columns:
        return images
    moves = draw(rngs, lambda rng: rng.integers(-farthest, farthest, (2, rows, columns)))
    place = np.arange(height * width).reshape(height, width)
    inside = (
        slice(farthest + 1, height - farthest + 1),
        slice(farthest + 1, width - farthest + 1),
    )
    target = np.repeat(place[np.newaxis], count, axis=0)
    target[:, inside[0], inside[1]] += moves[:, 0] * width + moves[:, 1]
    target = target.reshape(count, -1)
    overwritten = np.zeros((height, width), bool)
    overwritten[inside] = True
    place, overwritten = place.ravel(), overwritten.ravel()
    last = np.where((target > place) & overwritten[target], target, place)
    while True:
        further = np.take_along_axis(last, last, axis=1)
        if np.array_equal(further, last):
            break
        last = further
    source = np.take_along_axis(target, last, axis=1)
    pixels = images.reshape(count, height * width, channels)
    return np.take_along_axis(pixels, source[:, :, np.newaxis], axis=1).reshape(images.shape)


def motion_blur(
    images: np.ndarray, constants: tuple[float, float], rngs: Sequence[np.random.Generator]
) -> np.ndarray:
    """Streaks of one direction an image, within 45 degrees of a row, as ImageMagick draws them.

    Args:
        images: uint8 [N, H, W, C].
        constants: radius and standard deviation, pixels.
        rngs: N generators.
    """
    angles = draw(rngs, lambda rng: rng.uniform(-45, 45))
    return filters.motion(images, *constants, angles)


def zoom_blur(
    images: np.ndarray, constants: tuple[float, float], rngs: object = None
) -> np.ndarray:
    """Mean of the image and of its enlargements.

    Args:
        images: uint8 [N, H, W, C].
        constants: see `zoom_factors`.
        rngs: not used.
    """
    factors = zoom_factors(*constants)
    planes = np.ascontiguousarray(np.moveaxis(images, -1, 1)).astype(np.float32)
    total = planes.copy()  # once by itself and once as the factor 1, as the generator has it
    for factor in factors:
        total += filters.zoom(planes, factor)
    # No allowance: `filters.zoom` leaves whole levels whole, and so do their sum and its quotient.
    total /= np.float32(len(factors) + 1)
    return np.moveaxis(total, 1, -1).astype(np.uint8)


def zoom_factors(end: float, step: float) -> tuple[float, ...]:
    """Factors from 1 on in steps of `step`, to but not including `end`, but for rounding.

    In floats 1 + 6 x 0.01 is below 1.06, so that the generator's `numpy.arange` includes the end
    of two of the ranges.

    Example:

    >>> [len(zoom_factors(end, 0.01)) for end in (1.06, 1.11, 1.16, 1.21, 1.26)]
    [7, 12, 16, 21, 26]
    """
    return tuple(float(factor) for factor in np.arange(1, end, step))
