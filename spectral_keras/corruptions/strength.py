"""How far corrupted images are from the clean ones."""

from typing import NamedTuple

import numpy as np

from spectral_keras.corruptions.corrupt import check_images, corrupt
from spectral_keras.corruptions.severities import SEVERITIES

__all__ = ["Strength", "strengths"]

_BATCH = 1000


class Strength(NamedTuple):
    """The change of images in [0, 1] by one corruption at one severity.

    Attributes:
        severity: 1 to 5.
        psnr: peak signal-to-noise ratio, decibels, the mean over the images; infinite where an
            image does not change.
        rms: root of the mean square change, over all images.
        brightness: mean change.
    """

    severity: int
    psnr: float
    rms: float
    brightness: float


def strengths(
    images: np.ndarray, name: str, seed: int = 0, *, table: str | None = None
) -> tuple[Strength, ...]:
    """The strength of a corruption at the severities 1 to 5; docs/corruptions.md shows some.

    Args:
        images: clean images, uint8 [N, H, W, C], N at least 1.
        name, seed, table: see `corrupt`.

    Returns:
        Tuple of five `Strength`.

    Raises:
        ValueError: for an argument that does not fit.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.corruptions import strengths
    >>> images = np.full((4, 32, 32, 3), 102, np.uint8)
    >>> [round(strength.brightness, 3) for strength in strengths(images, "brightness")]
    [0.047, 0.098, 0.149, 0.2, 0.298]
    """
    images = check_images(images)
    if not len(images):
        raise ValueError("`images` must not be empty. Received: 0 images")
    return tuple(_strength(images, name, severity, seed, table) for severity in SEVERITIES)


def _strength(images, name, severity, seed, table):
    squares, changes = [], []
    for start in range(0, len(images), _BATCH):
        part = images[start : start + _BATCH]
        numbers = range(start, start + len(part))
        changed = corrupt(part, name, severity, seed, indices=numbers, table=table)
        change = (changed.astype(np.float64) - part) / 255
        squares.append(np.mean(change**2, axis=(1, 2, 3)))
        changes.append(np.mean(change, axis=(1, 2, 3)))
    squares = np.concatenate(squares)
    with np.errstate(divide="ignore"):
        psnr = -10 * np.mean(np.log10(squares))
    return Strength(
        severity, float(psnr), float(np.sqrt(squares.mean())), float(np.concatenate(changes).mean())
    )
