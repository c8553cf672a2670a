"""Textures of ice on a window, made of noise."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from spectral_keras.corruptions.levels import luma
from spectral_keras.corruptions.streams import draw

__all__ = ["DESCRIPTION", "SHAPE", "frost_textures"]

# For files that say how their images were made; another texture needs another text.
DESCRIPTION = "procedural textures with the published statistics"

SHAPE = (400, 600)  # of a picture, pixels
# Shares of a picture's pixels that are darker than its levels.
_SHARES = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)
# Cycles a pixel at which the amplitudes are given.
_FREQUENCIES = (1 / 400, 1 / 200, 1 / 100, 1 / 50, 1 / 25, 2 / 25, 4 / 25, 0.3, 0.5)
# Needles of a picture, their mean length in pixels, and points that draw one.
_NEEDLES, _LENGTH, _POINTS = 3000, 60, 200


class _Picture(NamedTuple):
    """Statistics of a published texture.

    `levels` are the grey levels of red, green and blue below which the shares `_SHARES` of the
    pixels lie; `amplitudes` the amplitudes at `_FREQUENCIES`, up to a factor.
    """

    amplitudes: tuple[float, ...]
    levels: tuple[tuple[int, ...], ...]


_TEAL = _Picture(
    (18, 2.2, 0.83, 0.37, 0.14, 0.08, 0.06, 0.042, 0.02),
    (
        (27, 39, 56, 72, 93, 128, 155),
        (115, 123, 136, 147, 158, 176, 190),
        (133, 141, 154, 164, 175, 189, 201),
    ),
)
_WHITE = _Picture(
    (10, 1.2, 0.75, 0.48, 0.31, 0.185, 0.093, 0.051, 0.022),
    (
        (135, 161, 188, 202, 212, 225, 234),
        (138, 165, 192, 206, 217, 230, 239),
        (145, 172, 201, 216, 228, 240, 247),
    ),
)
_GREY = _Picture(
    (10, 1.2, 0.53, 0.52, 0.37, 0.234, 0.156, 0.09, 0.042),
    (
        (63, 97, 127, 145, 160, 186, 226),
        (76, 111, 142, 159, 175, 201, 241),
        (85, 122, 154, 172, 188, 217, 255),
    ),
)
_DARK = _Picture(
    (14, 1.5, 1.52, 1.14, 0.6, 0.31, 0.16, 0.088, 0.061),
    (
        (31, 46, 74, 99, 128, 174, 214),
        (42, 58, 86, 111, 139, 183, 221),
        (54, 70, 99, 123, 151, 193, 228),
    ),
)
# The published generator draws from five files, two of which are the same photograph.
_PICTURES = (_TEAL, _WHITE, _WHITE, _GREY, _DARK)


def frost_textures(
    shape: tuple[int, ...], step: int, rngs: Sequence[np.random.Generator]
) -> np.ndarray:
    """Crops of five pictures of ice, one crop for each generator.

    The pictures have the colours, the quantiles and the spectra of the photographs of the published
    generator, but share no pixel with them; see docs/corruptions.md. They are periodic: a crop may
    lie anywhere and be of any size.

    Args:
        shape: (height, width, channels) of a crop; 3 channels for RGB, 1 for its luma.
        step: every how many pixels of a picture are taken: 5 for small images (the published
            reduction to a fifth, bicubic without smoothing, picks every fifth pixel), 1 for large.
        rngs: N generators.

    Returns:
        Float64 [N, *shape], levels of 0 to 255.
    """
    height, width, channels = shape
    start = draw(rngs, lambda rng: rng.integers((len(_PICTURES), *SHAPE)))
    rows = (start[:, 1, np.newaxis] + step * np.arange(height)) % SHAPE[0]
    columns = (start[:, 2, np.newaxis] + step * np.arange(width)) % SHAPE[1]
    crops = _pictures()[
        start[:, 0, np.newaxis, np.newaxis], rows[:, :, np.newaxis], columns[:, np.newaxis]
    ].astype(np.float64)
    return crops if channels == 3 else luma(crops)


@functools.cache
def _pictures():
    """uint8 [5, *SHAPE, 3], always the same."""
    pictures = np.stack([_paint(picture, seed) for seed, picture in enumerate(_PICTURES)])
    pictures.setflags(write=False)
    return pictures


def _paint(picture, seed):
    """Needles in all directions, with a picture's amplitudes, then with its levels."""
    frequency = np.hypot(np.fft.fftfreq(SHAPE[0])[:, np.newaxis], np.fft.rfftfreq(SHAPE[1]))
    frequency[0, 0] = 1  # any: the levels have the mean
    amplitude = np.interp(np.log(frequency), np.log(_FREQUENCIES), np.log(picture.amplitudes))
    amplitude = np.exp(amplitude)
    needles = np.fft.rfft2(_needles(np.random.default_rng(seed)))
    # The phases alone make the lines.
    needles /= np.maximum(np.abs(needles), np.finfo(float).tiny)
    ice = np.fft.irfft2(needles * amplitude, SHAPE).ravel()
    share = np.empty(ice.size)
    share[np.argsort(ice)] = (np.arange(ice.size) + 0.5) / ice.size
    levels = np.stack([np.interp(share, _SHARES, line) for line in picture.levels], axis=-1)
    return np.rint(levels).astype(np.uint8).reshape(*SHAPE, 3)


def _needles(rng):
    """Float64 [*SHAPE]: the sum of straight lines, light and dark, across the borders."""
    start = rng.uniform(0, SHAPE, (_NEEDLES, 2)).T
    angle = rng.uniform(0, np.pi, _NEEDLES)
    length = rng.exponential(_LENGTH, _NEEDLES)
    weight = rng.standard_normal(_NEEDLES) * length
    along = np.linspace(0, 1, _POINTS)[:, np.newaxis] * length
    row, column = (
        np.floor(first + along * part).astype(int) % side
        for first, part, side in zip(start, (np.sin(angle), np.cos(angle)), SHAPE, strict=True)
    )
    place = (row * SHAPE[1] + column).ravel()
    weight = np.broadcast_to(weight, along.shape).ravel()
    return np.bincount(place, weight, SHAPE[0] * SHAPE[1]).reshape(SHAPE)
