"""Recombined amplitudes and phases and planar waves on batches of images.

The layers `AmplitudePhaseRecombination` and `FourierBasisNoise` of `spectral_keras.layers` as steps
of the input pipeline: functions as those of `spectral_keras.augmentation.image`, with the draws of
a `numpy.random.Generator`.  They run on the processor, by the Keras backend, so that a part of a
batch is that of the whole batch to rounding.

Example:

>>> import numpy as np
>>> from spectral_keras.augmentation.spectral import fourier_noise
>>> images = np.full((2, 8, 8, 3), 0.5, np.float32)
>>> fourier_noise(images, np.random.default_rng(0)).shape
(2, 8, 8, 3)
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from spectral_keras.augmentation._images import Part, as_result, sample
from spectral_keras.ops.planar_waves import random_waves
from spectral_keras.ops.recombination import recombine_pairs, recombine_views
from spectral_keras.ops.validation import check_number

__all__ = ["PROBABILITY", "STRENGTH", "apr_pairs", "apr_views", "fourier_noise"]

PROBABILITY = 0.5
STRENGTH = 5.0


def apr_pairs(
    images: ArrayLike,
    rng: np.random.Generator,
    probability: float = PROBABILITY,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Give images the amplitudes of others of the batch.

    Args:
        images: images, the whole batch: a part of it has not all the others.
        rng: `numpy.random.Generator`.
        probability: chance of each image, in [0, 1].
        out: where to write.
    """
    probability = check_number("probability", probability, low=0, high=1)
    result = as_result(images, out)
    uniform = _uniform(rng, result, None)
    return _on_processor(result, lambda x: recombine_pairs(x, uniform, probability, (0.0, 1.0)))


def apr_views(
    images: ArrayLike,
    rng: np.random.Generator,
    probability: float = PROBABILITY,
    out: np.ndarray | None = None,
    part: Part | None = None,
) -> np.ndarray:
    """One of AugMix's operations, or the phases of one view with the amplitudes of another.

    Args:
        images: images.
        rng: `numpy.random.Generator`.
        probability: chance that a second view takes part, in [0, 1].
        out, part: where to write, and the batch that the images are a part of.
    """
    probability = check_number("probability", probability, low=0, high=1)
    result = as_result(images, out)
    uniform = _uniform(rng, result, part)
    return _on_processor(result, lambda x: recombine_views(x, uniform, probability, (0.0, 1.0)))


def fourier_noise(
    images: ArrayLike,
    rng: np.random.Generator,
    strength: float = STRENGTH,
    out: np.ndarray | None = None,
    part: Part | None = None,
) -> np.ndarray:
    """Add a planar wave to each channel, clipped to [0, 1].

    Args:
        images: images.
        rng: `numpy.random.Generator`.
        strength: mean l2 norm of a wave on 32 x 32 pixels.
        out, part: where to write, and the batch that the images are a part of.
    """
    strength = check_number("strength", strength, low=0)
    result = as_result(images, out)
    uniform = _uniform(rng, result, part, result.shape[-1])

    def add(x):
        waves = random_waves(result.shape[1:3], uniform, strength)
        return keras.ops.clip(x + keras.ops.transpose(waves, (0, 2, 3, 1)), 0, 1)

    return _on_processor(result, add)


def _uniform(rng, images, part, *more):
    """Function that returns fresh float32 numbers for these images, images first."""

    def uniform():
        draws = sample(lambda n: rng.random((*more, n), np.float32), images, part)
        if not len(images):
            draws = np.zeros((*more, 1), np.float32)
        return keras.ops.convert_to_tensor(np.ascontiguousarray(np.moveaxis(draws, -1, 0)))

    return uniform


def _on_processor(result: np.ndarray, function: Callable[[Any], Any]) -> np.ndarray:
    # Some operations refuse an empty batch: its numbers are sampled for one image.
    images = result if len(result) else np.zeros((1, *result.shape[1:]), np.float32)
    with keras.device("cpu:0"):  # not on the device that trains
        changed = keras.ops.convert_to_numpy(function(keras.ops.convert_to_tensor(images)))
    result[...] = changed[: len(result)]
    return result
