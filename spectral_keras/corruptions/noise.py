"""Noise that is drawn for each channel of each pixel."""

import numpy as np

from spectral_keras.corruptions.levels import to_levels, to_unit
from spectral_keras.corruptions.streams import draw


def gaussian_noise(images, deviation, rngs):
    """x + N(0, deviation^2), clipped.

    Args:
        images: uint8 [N, H, W, C].
        deviation: standard deviation, of intensities in [0, 1].
        rngs: N generators.
    """
    noise = draw(rngs, lambda rng: rng.normal(0, deviation, images.shape[1:]))
    noise += to_unit(images)
    return to_levels(noise)


def shot_noise(images, photons, rngs):
    """Poisson(photons x) / photons, clipped.

    Args:
        images: uint8 [N, H, W, C].
        photons: expected number of a white pixel.
        rngs: N generators.
    """
    expected = to_unit(images) * photons
    counts = [rng.poisson(each) for rng, each in zip(rngs, expected, strict=True)]
    return to_levels(np.stack(counts) / photons)


def impulse_noise(images, amount, rngs):
    """Black or white, with equal chances, in place of a share of all values.

    Args:
        images: uint8 [N, H, W, C].
        amount: the share, in [0, 1]; channels are hit one by one.
        rngs: N generators.
    """
    chance = draw(rngs, lambda rng: rng.random(images.shape[1:]))
    # Below `amount` the chance is uniform again: its halves choose.
    result = np.where(chance < amount, np.uint8(0), images)
    result[chance < amount / 2] = 255
    return result


def speckle_noise(images, deviation, rngs):
    """x + x N(0, deviation^2), clipped.

    Args:
        images: uint8 [N, H, W, C].
        deviation: standard deviation at a white pixel.
        rngs: N generators.
    """
    noise = draw(rngs, lambda rng: rng.normal(0, deviation, images.shape[1:]))
    images = to_unit(images)
    return to_levels(images + images * noise)
