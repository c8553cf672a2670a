"""Planar waves of any frequency and direction (arXiv 2403.01944, equation (1))."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import ops

__all__ = ["planar_waves", "random_waves"]


def planar_waves(frequency: Any, angle: Any, height: int, width: int) -> Any:
    """sin(2 pi f (y cos w + x sin w) - pi/4), each wave of unit l2 norm.

    y and x are counted in pixels from the centre of the image.

    Args:
        frequency: f in periods a pixel, float tensor of any shape.
        angle: w in radians, of the same shape.
        height, width: size of the images.

    Returns:
        Tensor of frequency's dtype and shape (..., height, width).

    Example:

    >>> import numpy as np
    >>> from spectral_keras.ops.planar_waves import planar_waves
    >>> wave = planar_waves(np.array([0.25], "float32"), np.array([0.0], "float32"), 8, 6)
    >>> tuple(wave.shape), round(float(np.linalg.norm(wave)), 5)
    ((1, 8, 6), 1.0)
    """
    frequency = ops.convert_to_tensor(frequency)[..., None, None]
    angle = ops.convert_to_tensor(angle)[..., None, None]
    y, x = (
        ops.cast(ops.convert_to_tensor(np.arange(n) - (n - 1) / 2), frequency.dtype)
        for n in (height, width)
    )
    turns = frequency * (y[:, None] * ops.cos(angle) + x * ops.sin(angle))
    waves = ops.sin(2 * math.pi * turns - math.pi / 4)
    length = ops.sqrt(ops.sum(ops.square(waves), axis=(-2, -1), keepdims=True))
    # A wave whose every sample is a zero crossing stays one.
    return waves / ops.where(length < 1e-6, 1.0, length)


def random_waves(
    shape: Sequence[int],
    uniform: Callable[[], Any],
    strength: float,
    frequencies: Sequence[int] | None = None,
) -> Any:
    """The waves of `FourierBasisNoise`.

    Args:
        shape: (height, width) of the images.
        uniform: function that returns fresh float32 numbers, uniform on [0, 1), of shape
            (batch, channels).
        strength, frequencies: see `FourierBasisNoise`.

    Returns:
        float32 tensor of shape (batch, channels, height, width).
    """
    height, width = shape
    side = min(height, width)
    periods = list(frequencies or range(1, side + 1))
    place = ops.cast(uniform() * len(periods), "int32")
    frequency = ops.take(ops.convert_to_tensor(periods, dtype="float32"), place) / side
    angle = math.pi * uniform()
    # Inverse of the exponential law; 1 - u lies in (0, 1].
    length = -strength * (math.sqrt(height * width) / 32) * ops.log(1 - uniform())
    return length[..., None, None] * planar_waves(frequency, angle, height, width)
