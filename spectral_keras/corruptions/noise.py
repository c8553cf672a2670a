"""Noise that is independent in each channel of each pixel."""

import functools
from collections.abc import Sequence

import numpy as np

from spectral_keras.corruptions.levels import to_levels, to_unit
from spectral_keras.corruptions.streams import normal, uniform

__all__ = ["gaussian_noise", "impulse_noise", "shot_noise", "speckle_noise"]


def gaussian_noise(
    images: np.ndarray, deviation: float, rngs: Sequence[np.random.Generator]
) -> np.ndarray:
    """x + N(0, deviation^2), clipped.

    Args:
        images: uint8 [N, H, W, C].
        deviation: standard deviation, of intensities in [0, 1].
        rngs: N generators.
    """
    noise = normal(rngs, images.shape[1:], 0, deviation)
    noise += to_unit(images)
    return to_levels(noise)


def shot_noise(
    images: np.ndarray, photons: float, rngs: Sequence[np.random.Generator]
) -> np.ndarray:
    """Poisson(photons x) / photons, clipped.

    There are 256 levels that go in and 256 that come out, so that one uniform number finds the new
    level in a table; drawing the Poisson numbers themselves takes many times as long.

    Args:
        images: uint8 [N, H, W, C].
        photons: expected number of a white pixel.
        rngs: N generators.
    """
    share, other = _alias_tables(photons)
    chance = uniform(rngs, images.shape[1:])
    chance *= 256
    new = chance.astype(np.uint8)
    chance -= new  # uniform again, and independent of the level
    place = images.astype(np.uint16) << np.uint16(8) | new
    return np.where(chance < share.take(place), new, other.take(place))


@functools.lru_cache(maxsize=16)
def _alias_tables(photons):
    """Walker's alias tables of the levels that Poisson(photons x) / photons, clipped, becomes.

    Walker, "An efficient method for generating discrete random variables with general
    distributions" (1977). A new level k is chosen with equal chances, kept with the chance `share`,
    and else replaced by `other`.

    Returns:
        (share float64 [256 * 256], other uint8 [256 * 256]), at 256 old level + k.
    """
    from scipy import special

    counts = np.arange(int(np.ceil(photons)) + 1)
    expected = to_unit(np.arange(256))[:, np.newaxis] * photons
    chances = np.exp(special.xlogy(counts, expected) - expected - special.gammaln(counts + 1))
    # 256 times the chance of each level; the counts that are clipped have the rest.
    levels = to_levels(counts / photons)
    share = 256 * np.stack([np.bincount(levels, row, 256) for row in chances])
    share[:, 255] = 0
    share[:, 255] = np.maximum(256 - share.sum(axis=1), 0)
    other = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    open_ones, every = np.ones((256, 256), bool), np.arange(256)
    for _ in range(255):
        # Fill the rarest level up from the most frequent one.
        rare = np.where(open_ones, share, np.inf).argmin(axis=1)
        open_ones[every, rare] = False
        frequent = np.where(open_ones, share, -np.inf).argmax(axis=1)
        other[every, rare] = frequent
        share[every, frequent] -= 1 - share[every, rare]
    return share.ravel(), other.ravel()


def impulse_noise(
    images: np.ndarray, amount: float, rngs: Sequence[np.random.Generator]
) -> np.ndarray:
    """Black or white, with equal chances, in place of a share of all values.

    Args:
        images: uint8 [N, H, W, C].
        amount: the share, in [0, 1]; channels are hit one by one.
        rngs: N generators.
    """
    chance = uniform(rngs, images.shape[1:])
    # Below `amount` the chance is uniform again: its halves choose.
    result = np.where(chance < amount, np.uint8(0), images)
    result[chance < amount / 2] = 255
    return result


def speckle_noise(
    images: np.ndarray, deviation: float, rngs: Sequence[np.random.Generator]
) -> np.ndarray:
    """x + x N(0, deviation^2), clipped.

    Args:
        images: uint8 [N, H, W, C].
        deviation: standard deviation at a white pixel.
        rngs: N generators.
    """
    noise = normal(rngs, images.shape[1:], 0, deviation)
    images = to_unit(images)
    noise *= images
    noise += images
    return to_levels(noise)
