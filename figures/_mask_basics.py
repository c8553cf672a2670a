"""What all measurements with masks share: filtered images, predictions, moved and weighed masks."""

import keras
import numpy as np

from figures._mask_runs import SEED
from spectral_keras.analysis import filtered_images, radial_bands

# The published masks act behind the normalisation, the zoo's being (x - 0.5) / 0.25: without the
# constant an image is grey on average, not black.
GREY = np.float32(0.5)


def behind_grey(model):
    """The network as a function of x - 0.5, which masks act on."""
    start = keras.Input(model.input_shape[1:])
    return keras.Model(start, model(keras.layers.Rescaling(1.0, offset=float(GREY))(start)))


def masked_images(x, masks):
    """Images [N, H, W, C] whose difference to grey one mask, or each image's own, filters."""
    return filtered_images(x - GREY, masks, data_format="channels_last") + GREY


def mean_radius(masks):
    """Mean distance from DC of a mask's energy, 1 at half a cycle a pixel along an axis."""
    height, width = masks.shape[-2:]
    y, x = 2 * np.fft.fftfreq(height)[:, None], 2 * np.fft.fftfreq(width)
    square = np.asarray(masks, "float64") ** 2
    total = square.sum((-2, -1))
    weighted = (np.hypot(y, x) * square).sum((-2, -1))
    return np.divide(weighted, total, out=np.zeros_like(total), where=total > 0)


def partners(height, width):
    """Flat indices of the frequencies, and of the frequencies with the opposite sign."""
    index = np.arange(height * width).reshape(height, width)
    return index.ravel(), np.roll(np.flip(index), (1, 1), (0, 1)).ravel()


def shuffle_in_rings(masks, bands):
    """Masks with their values moved to other frequencies of the same ring, k and -k together."""
    index, partner = partners(*masks.shape[-2:])
    ring = radial_bands(*masks.shape[-2:], bands).ravel()
    groups = [np.flatnonzero((ring == i) & (index < partner)) for i in range(bands)]
    result = np.array(masks, "float64").reshape(len(masks), -1)
    for number_, mask in enumerate(result):
        rng = np.random.default_rng([SEED, number_])
        for group in groups:
            values = mask[rng.permutation(group)]
            mask[group], mask[partner[group]] = values, values
    return result.reshape(masks.shape)


def low_energy(radial):
    """Energy in the lowest eighth of the rings."""
    radial = np.asarray(radial)
    return np.sqrt((radial[..., : radial.shape[-1] // 8] ** 2).sum(-1))
