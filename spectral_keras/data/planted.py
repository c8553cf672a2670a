"""Textures whose classes differ in known frequency bands only: a ground truth for masks.

Every image is a texture of random phases with a prescribed power spectrum.  Of its variance,
`1 - strength` is a background like that of natural images, of amplitude 1 / r^a with a sampled anew
for each image, and `strength` lies, spread evenly, on the frequencies of the class's own band:

    power_k(f) = (1 - strength) * background(f) + strength * [f in band_k] / |band_k|

So mean and variance are those of every other class, the spectrum outside the planted bands is
distributed alike in all classes, and nothing but the power within the bands tells a class.

    variant     class k
    radial      ring of the radii [2, 4), [5, 7), [8, 10) or [11, 13)
    oriented    radii [5, 12) within 15 degrees of the orientation 0, 45, 90 or 135 degrees

Radii are in cycles per 32 pixels, orientations those of the frequency, counter-clockwise from the
horizontal (a frequency of 0 degrees is a pattern of upright stripes).  Classes of "oriented" have
almost the same radial spectrum; the grid of frequencies alone parts the axes from the diagonals.

A network needs the planted frequencies of all classes but one: images of the last class are those
that show none of the others.  A mask may leave out one band, or parts of all, at no loss.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from spectral_keras.data.errors import DataError
from spectral_keras.ops.frequencies import signed_frequencies
from spectral_keras.ops.validation import (
    check_choice,
    check_number,
    check_positive_int,
    check_size_pair,
)

__all__ = ["NUM_CLASSES", "VARIANTS", "load_planted", "planted_bands", "planted_images"]

VARIANTS = ("radial", "oriented")
NUM_CLASSES = 4

# Share of the variance that is planted.
STRENGTH = 0.2

# Pixels a side on which the radii are cycles per image.
_PIXELS = 32
_RINGS = ((2, 4), (5, 7), (8, 10), (11, 13))
_ORIENTED_RING = (5, 12)
_ORIENTATIONS = (0, 45, 90, 135)
_HALF_ANGLE = 15

_MINIMUM_SIZE = 16

# In units of the full range: 1 pixel in 2800 of a normal distribution leaves [0, 1].
_MEAN, _STD = 0.5, 0.14
_EXPONENTS = (0.75, 1.25)

# Images made at a time, each block from a stream of its own.
_BLOCK = 500

_IMAGES = {"train": 4000, "test": 1000}
_SEED = 20220712


def planted_bands(
    size: int | Sequence[int] = 32, variant: str = "radial"
) -> tuple[np.ndarray, np.ndarray]:
    """The frequencies that tell the classes apart.

    Args:
        size: integer or pair (height, width) of at least 16 pixels.
        variant: "radial" or "oriented".

    Returns:
        (bands, together): bool arrays (classes, height, width), one even mask for each class, and
        (height, width), their union; in unshifted order (DC at [0, 0]).

    Example:

    >>> from spectral_keras.data.planted import planted_bands
    >>> bands, together = planted_bands(32)
    >>> bands.sum((1, 2)), int(together.sum())
    (array([ 36,  76, 112, 144]), 368)
    """
    height, width = check_size_pair("size", size, _MINIMUM_SIZE)
    check_choice("variant", variant, VARIANTS)
    # Frequencies in cycles per 32 pixels, both times height * width to stay integers.
    y = -signed_frequencies(height)[:, None] * (_PIXELS * width)
    x = signed_frequencies(width)[None, :] * (_PIXELS * height)
    square = x**2 + y**2

    def ring(low, high):
        unit = (height * width) ** 2
        return (square >= low**2 * unit) & (square < high**2 * unit)

    if variant == "radial":
        bands = np.stack([ring(*radii) for radii in _RINGS])
    else:
        bands = np.stack([ring(*_ORIENTED_RING) & _near(x, y, angle) for angle in _ORIENTATIONS])
    return bands, np.any(bands, axis=0)


def _near(x, y, angle):
    """Whether the direction (x, y), or its opposite, is within the half angle of an angle.

    The borders have irrational tangents: no frequency lies on one.
    """
    along = x * np.cos(np.deg2rad(angle)) + y * np.sin(np.deg2rad(angle))
    across = y * np.cos(np.deg2rad(angle)) - x * np.sin(np.deg2rad(angle))
    return np.abs(across) <= np.tan(np.deg2rad(_HALF_ANGLE)) * np.abs(along)


def planted_images(
    count: int,
    *,
    size: int | Sequence[int] = 32,
    variant: str = "radial",
    strength: float = STRENGTH,
    seed: int | Sequence[int] = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw images of the planted classes.

    Args:
        count: number of images; the first ones are the same for every count.
        size: integer or pair (height, width) of at least 16 pixels.
        variant: "radial" or "oriented".
        strength: share of the variance that is planted, in [0, 1]; at 0 the classes are one.
        seed: integer of at least 0, or a sequence of them.

    Returns:
        (images, labels): uint8 (count, height, width, 1) of mean 127.5 and standard deviation
        35.7 each (up to rounding and clipping), and int32 (count,), 0, 1, 2, 3, 0, 1, ...

    Example:

    >>> from spectral_keras.data.planted import planted_images
    >>> images, labels = planted_images(6, seed=1)
    >>> images.shape, images.dtype, labels
    ((6, 32, 32, 1), dtype('uint8'), array([0, 1, 2, 3, 0, 1], dtype=int32))
    """
    count = check_positive_int("count", count)
    bands, _ = planted_bands(size, variant)
    height, width = bands.shape[1:]
    strength = check_number("strength", strength, 0, 1)
    given: Any = [seed] if np.ndim(seed) == 0 else seed
    seeds = [check_positive_int("seed", number, minimum=0) for number in given]
    planted = bands / bands.sum((1, 2), keepdims=True)
    labels = (np.arange(count) % NUM_CLASSES).astype(np.int32)
    images = np.empty((count, height, width, 1), np.uint8)
    for start in range(0, count, _BLOCK):
        chosen = labels[start : start + _BLOCK]
        # The whole block, so that a smaller count draws the same.
        rng = np.random.default_rng([*seeds, start // _BLOCK])
        exponents = rng.uniform(*_EXPONENTS, _BLOCK)[: len(chosen)]
        power = (1 - strength) * _background(height, width, exponents) + strength * planted[chosen]
        # The phases of white noise are uniform, and those of a real image.
        noise = rng.standard_normal((len(chosen), height, width))
        phases = np.fft.fft2(noise)
        phases /= np.abs(phases)
        texture = np.fft.ifft2(phases * np.sqrt(power)).real * (height * width)
        pixels = np.rint(255 * (_MEAN + _STD * texture))
        images[start : start + _BLOCK, ..., 0] = np.clip(pixels, 0, 255)
    return images, labels


def _background(height, width, exponents):
    """Power 1 / r^(2 a) of each exponent a, without DC and of sum 1: (count, height, width)."""
    y, x = signed_frequencies(height)[:, None] / height, signed_frequencies(width)[None] / width
    square = x**2 + y**2
    square[0, 0] = np.inf
    power = square ** -exponents[:, None, None]
    return power / power.sum((1, 2), keepdims=True)


def load_planted(
    variant: str = "radial",
    *,
    limit: int | None = None,
    limit_test: int | None = None,
    size: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """The data set "planted" or "planted_oriented": 4000 training and 1000 test images.

    Training and test images come from streams of different seeds; the validation images are
    training images set aside, as in every data set.  Another size is made at that size, with the
    bands at the same cycles per pixel, not resized.

    Returns:
        dict of arrays as the other readers give it.

    Raises:
        DataError: for a size below 16 pixels.
    """
    check_choice("variant", variant, VARIANTS)
    size = (_PIXELS, _PIXELS) if size is None else size
    if min(size) < _MINIMUM_SIZE:
        raise DataError(
            f"the planted bands need images of at least {_MINIMUM_SIZE} pixels a side. "
            f"Received: image_size={size!r}"
        )
    parts = {}
    for number, (part, limited) in enumerate((("train", limit), ("test", limit_test))):
        count = _IMAGES[part] if limited is None else min(limited, _IMAGES[part])
        parts[f"x_{part}"], parts[f"y_{part}"] = planted_images(
            count, size=size, variant=variant, seed=(_SEED, VARIANTS.index(variant), number)
        )
    if variant == "radial":
        names = [f"radius {low} to {high}" for low, high in _RINGS]
    else:
        names = [f"{angle} degrees" for angle in _ORIENTATIONS]
    source = {
        "kind": "planted",
        "variant": variant,
        "strength": STRENGTH,
        "bands": names,
        "test": "images of another seed",
    }
    return parts | {"class_names": names, "source": source}
