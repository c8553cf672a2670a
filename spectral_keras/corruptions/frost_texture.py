"""A procedural texture that looks like ice on a window."""

import functools

import numpy as np

from spectral_keras.corruptions.levels import tint
from spectral_keras.corruptions.streams import normal

# Our choice: a cold white, on average of middle brightness.
COLOUR = (0.88, 0.96, 1.0)
# Exponents a of the amplitudes 1 / f^a of the three fields that make the texture.
COVER, VEINS, GRAIN = 1.6, 1.1, 0.3


def frost_texture(height, width, channels, rngs):
    """Ice: bright veins and grain, thick in some places and thin in others.

    Three random fields of unit variance with amplitudes 1 / f^a: the veins follow the lines where
    the second is zero, and are brighter where the first is large; the third is added as grain. It
    takes the place of the photographs of the published corruption and shares no pixel with them.

    Args:
        height, width: of the textures.
        channels: 3 for a bluish white, 1 for its luma.
        rngs: a generator for each texture.

    Returns:
        Float64 [N, height, width, channels] in [0, 1], different for each generator.
    """
    noise = normal(rngs, (3, height, width), 0, 1)
    amplitudes = np.stack([_amplitude(height, width, power) for power in (COVER, VEINS, GRAIN)])
    fields = np.fft.irfft2(np.fft.rfft2(noise) * amplitudes, s=(height, width))
    cover, veins, grain = np.moveaxis(fields, 1, 0)
    thick = 1 / (1 + np.exp(-1.5 * cover))
    bright = 0.2 + (0.25 + 0.65 * np.exp(-2 * np.abs(veins))) * thick + 0.1 * grain
    return np.clip(bright, 0, 1)[..., np.newaxis] * tint(COLOUR, channels)


@functools.lru_cache(maxsize=16)
def _amplitude(height, width, power):
    """[H, W // 2 + 1]: factors of the DFT that keep the variance of white noise, but no mean."""
    rows, columns = np.fft.fftfreq(height)[:, np.newaxis], np.fft.fftfreq(width)
    distance = np.hypot(rows, columns)
    distance[0, 0] = np.inf
    amplitude = distance**-power
    # An image of one pixel has no frequency but the mean.
    amplitude /= max(np.sqrt(np.mean(amplitude**2)), np.finfo(float).tiny)
    amplitude.setflags(write=False)  # it is kept for the next call
    return amplitude[:, : width // 2 + 1]
