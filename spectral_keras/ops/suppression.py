"""Power suppression of images: all but one frequency band is damped (arXiv 1911.12044, 3.2)."""

from typing import Any

import keras
import numpy as np
from keras import ops

from spectral_keras.ops.fft import irfft2_last, rfft2_last
from spectral_keras.ops.global_batch import global_draw
from spectral_keras.ops.mask_curves import BANDS, suppression_masks
from spectral_keras.ops.validation import (
    check_choice,
    check_data_format,
    check_float_images,
    static_spatial_shape,
)

__all__ = ["ALPHA_SENSES", "draw_suppression", "identity_alpha", "suppress_power"]

ALPHA_SENSES = ("kept", "suppressed")


def identity_alpha(alpha_is: str) -> float:
    """The alpha that changes nothing."""
    return 1.0 if alpha_is == "kept" else 0.0


def draw_suppression(
    batch_size: Any, probability: float, alpha: Any, seed: Any, *, alpha_is: str = "kept"
) -> Any:
    """Which band is left of each image, and how much of the others.

    Args:
        batch_size: number of images.
        probability: chance that an image is suppressed; its band is uniform on the three.
        alpha: pair (low, high), alpha is uniform on it.
        seed: `keras.random.SeedGenerator` (or an integer for a fixed draw).
        alpha_is: "kept" or "suppressed", for the alpha of the images that are left alone.

    Returns:
        (band, alpha): int32 tensor of shape (batch_size,), an index of `BANDS` or -1 for none; and
        float32 tensor of shape (batch_size,).
    """
    low, high = alpha
    shape = (batch_size,)
    chosen = global_draw(keras.random.uniform, shape, dtype="float32", seed=seed) < probability
    band = global_draw(keras.random.randint, shape, 0, len(BANDS), "int32", seed)
    sampled = low + (high - low) * global_draw(
        keras.random.uniform, shape, dtype="float32", seed=seed
    )
    return (
        ops.where(chosen, band, ops.full_like(band, -1)),
        ops.where(chosen, sampled, ops.full_like(sampled, identity_alpha(alpha_is))),
    )


def suppress_power(
    images: Any,
    band: Any,
    alpha: Any,
    *,
    alpha_is: str = "kept",
    variant: str = "consistent",
    reference_size: int | None = None,
    data_format: str | None = None,
) -> Any:
    """F^-1(F(I) * (1 - strength * (1 - M))), one mask M and one strength for each image.

    Args:
        images: float tensor of rank 4, height and width known.  Computed in float32 at least.
        band: integer tensor of shape (batch,): 0, 1, 2 leave the low, medium or high frequencies,
            -1 leaves the image as it is, bit by bit.
        alpha: float tensor of shape (batch,) in [0, 1].
        alpha_is: "kept": alpha is the share of the amplitude that stays outside the band, strength
            1 - alpha; "suppressed": the share that goes, strength alpha.
        variant: of the high-pass, see `mask_curves.high_curve`.
        reference_size: see `mask_curves.scaled_radius`.
        data_format: "channels_last", "channels_first" or None for Keras' global setting.

    Returns:
        Tensor of the shape and dtype of the images.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.ops.suppression import suppress_power
    >>> wave = 0.5 + 0.25 * np.cos(2 * np.pi * np.arange(32) * 14 / 32)  # frequency 14
    >>> image = np.broadcast_to(wave, (1, 32, 32))[..., None].astype("float32")
    >>> [round(float(np.ptp(suppress_power(image, [band], [0.0]))), 4) for band in range(3)]
    [0.0, 0.5, 0.1667]
    """
    check_choice("alpha_is", alpha_is, ALPHA_SENSES)
    data_format = check_data_format(data_format)
    images = ops.convert_to_tensor(images)
    check_float_images(images, "suppress_power")
    height, width = static_spatial_shape(
        images.shape, data_format, "Power suppression", " in training, for its masks"
    )
    masks = suppression_masks(height, width, variant=variant, reference_size=reference_size)
    dtype = "float64" if keras.backend.standardize_dtype(images.dtype) == "float64" else "float32"
    # 1 - M, half the spectrum; the zeros in front are for band -1.
    damped = np.concatenate([np.zeros((1, height, width)), 1 - masks])[:, :, : width // 2 + 1]
    band = ops.cast(band, "int32")
    alpha = ops.reshape(ops.cast(alpha, dtype), (-1, 1, 1, 1))
    strength = 1 - alpha if alpha_is == "kept" else alpha
    table = ops.convert_to_tensor(damped.astype(dtype), dtype=dtype)
    factor = 1 - strength * ops.expand_dims(ops.take(table, band + 1, axis=0), 1)

    planes = images if data_format == "channels_first" else ops.transpose(images, (0, 3, 1, 2))
    spectrum = rfft2_last(planes)
    # A real and even factor keeps the spectrum Hermitian.
    spectrum = spectrum * ops.cast(factor, spectrum.dtype)
    planes = ops.cast(irfft2_last(spectrum, width, assume_hermitian=True), images.dtype)
    if data_format == "channels_last":
        planes = ops.transpose(planes, (0, 2, 3, 1))
    return ops.where(ops.reshape(band < 0, (-1, 1, 1, 1)), images, planes)
