"""Blurs: Gaussian, out of focus, frosted glass, motion and zoom."""

import numpy as np

from spectral_keras.corruptions import filters
from spectral_keras.corruptions.levels import to_levels, to_unit
from spectral_keras.corruptions.streams import draw

_LARGE = 9  # sides of larger kernels are worth a DFT


def gaussian_blur(images, sigma, rngs=None):
    """Gaussian of the standard deviation `sigma`, pixels; uint8 [N, H, W, C] in and out."""
    return to_levels(filters.gaussian(to_unit(images), sigma))


def defocus_blur(images, constants, rngs=None):
    """Correlation with a disk.

    Args:
        images: uint8 [N, H, W, C].
        constants: radius and smoothing of `filters.disk`.
        rngs: not used.
    """
    kernel = filters.disk(*constants)
    if len(kernel) > _LARGE:
        return filters.correlate_levels(images, kernel)
    return to_levels(filters.correlate(to_unit(images), kernel))


def glass_blur(images, constants, rngs):
    """Blur, let pixels take the place of near ones, blur again.

    Args:
        images: uint8 [N, H, W, C].
        constants: standard deviation; farthest move d; rounds of moves.
        rngs: N generators.
    """
    sigma, farthest, rounds = constants
    blurred = to_levels(filters.gaussian(to_unit(images), sigma))
    for _ in range(rounds):
        blurred = _move_pixels(blurred, farthest, rngs)
    return to_levels(filters.gaussian(to_unit(blurred), sigma))


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


def motion_blur(images, constants, rngs):
    """Streaks of one direction an image, within 45 degrees of a row, as ImageMagick draws them.

    Args:
        images: uint8 [N, H, W, C].
        constants: radius and standard deviation, pixels.
        rngs: N generators.
    """
    angles = draw(rngs, lambda rng: rng.uniform(-45, 45))
    return filters.motion(images, *constants, angles)


def zoom_blur(images, constants, rngs=None):
    """Mean of the image and of its enlargements.

    Args:
        images: uint8 [N, H, W, C].
        constants: see `zoom_factors`.
        rngs: not used.
    """
    factors = zoom_factors(*constants)
    planes = np.ascontiguousarray(np.moveaxis(to_unit(images, np.float32), -1, 1))
    total = planes.copy()  # once by itself and once as the factor 1, as the generator has it
    for factor in factors:
        total += filters.zoom(planes, factor)
    return to_levels(np.moveaxis(total, 1, -1) / np.float32(len(factors) + 1))


def zoom_factors(end, step):
    """Factors from 1 on in steps of `step`, to but not including `end`, but for rounding.

    In floats 1 + 6 x 0.01 is below 1.06, so that the generator's `numpy.arange` includes the end
    of two of the ranges.

    Example:

    >>> [len(zoom_factors(end, 0.01)) for end in (1.06, 1.11, 1.16, 1.21, 1.26)]
    [7, 12, 16, 21, 26]
    """
    return tuple(float(factor) for factor in np.arange(1, end, step))
