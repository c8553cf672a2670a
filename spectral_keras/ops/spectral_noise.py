"""Noise on the amplitudes of an image's spectrum (arXiv 1911.12044, section 3.3)."""

from typing import Any

import keras
import numpy as np
from keras import ops

from spectral_keras.ops.fft import irfft2_last, rfft2_last
from spectral_keras.ops.frequencies import signed_frequencies
from spectral_keras.ops.global_batch import global_draw
from spectral_keras.ops.mask_curves import NOISE_BANDS, VARIANTS, noise_masks
from spectral_keras.ops.symmetry import symmetrize_half_spectrum
from spectral_keras.ops.validation import check_choice

__all__ = ["amplitude_noise", "draw_control", "draw_even", "noise_deviation"]

# An amplitude below has no direction: dividing noise by it could overflow.
_TINY = 1e-30


def draw_control(batch_size: Any, seed: Any, uniform_bands: int = 1) -> Any:
    """alpha_r: how far each of the five bands is protected from noise, for each image.

    `uniform_bands` elements at random places are uniform on (0, 1), each of the others is 0 or 1
    with equal chance (section 3.3, before equation (14), which says "at least one").

    Args:
        batch_size: number of images.
        seed: `keras.random.SeedGenerator` (or an integer for a fixed draw).
        uniform_bands: 1 ... 5.

    Returns:
        float32 tensor of shape (batch_size, 5).
    """
    shape = (batch_size, len(NOISE_BANDS))
    order = ops.argsort(
        global_draw(keras.random.uniform, shape, dtype="float32", seed=seed), axis=-1
    )
    sampled = global_draw(keras.random.uniform, shape, dtype="float32", seed=seed)
    # A permutation is below n at n places, each set of places with equal chance.
    return ops.where(order < uniform_bands, sampled, ops.floor(2 * sampled))


def noise_deviation(
    alpha_r: Any,
    height: int,
    width: int,
    sigma: float,
    *,
    variant: str = "consistent",
    reference_size: int | None = None,
) -> Any:
    """Standard deviation of the noise on each amplitude: sqrt(sigma * (1 - M)).

    M = sum_i alpha_r[i] M_i (equation (14)).  The five masks add up to 1, so 1 - M is
    sum_i (1 - alpha_r[i]) M_i, which is exactly 0 where everything is protected.

    Args:
        alpha_r: float tensor of shape (batch, 5) in [0, 1].
        height, width: size of the images.
        sigma: variance of an unprotected amplitude.
        variant: "consistent" or "printed", see `FrequencyNoise`.
        reference_size: see `mask_curves.scaled_radius`.

    Returns:
        Tensor of alpha_r's dtype and shape (batch, height, width//2 + 1).
    """
    check_choice("variant", variant, VARIANTS)
    columns = width // 2 + 1
    masks = noise_masks(height, width, reference_size=reference_size)[:, :, :columns]
    scale = np.full((height, columns), np.sqrt(sigma))
    if variant == "printed":
        # The mean of two independent draws, but for frequencies that are their own partner.
        alone = np.outer(_self_paired(height), _self_paired(width)[:columns])
        scale = np.where(alone, scale, scale * np.sqrt(0.5))
    alpha_r = ops.convert_to_tensor(alpha_r)
    masks = ops.cast(ops.convert_to_tensor(masks.reshape(len(NOISE_BANDS), -1)), alpha_r.dtype)
    exposed = ops.reshape((1 - alpha_r) @ masks, (-1, height, columns))
    return ops.sqrt(exposed) * ops.cast(scale, alpha_r.dtype)


def _self_paired(n):
    """Where -k is k: DC, and the Nyquist frequency of an even n."""
    return (2 * signed_frequencies(n)) % n == 0


def draw_even(batch_size: Any, channels: int, height: int, width: int, seed: Any) -> Any:
    """Standard normal numbers R on the half spectrum with R[-k] = R[k].

    The columns 0 and width/2 hold both partners of a pair: the second one takes the number of the
    first.

    Returns:
        float32 tensor of shape (batch_size, channels, height, width//2 + 1).
    """
    columns = width // 2 + 1
    sampled = global_draw(
        keras.random.normal, (batch_size, channels, height, columns), dtype="float32", seed=seed
    )
    rows = np.abs(signed_frequencies(height))
    paired = _self_paired(width)[:columns]
    return ops.where(paired, ops.take(sampled, rows, axis=-2), sampled)


def amplitude_noise(planes: Any, amplitudes: Any, *, keep_phase: bool = False) -> Any:
    """F^-1(R * F/|F|): what noise R on the amplitudes adds to the images.

    R is even and F/|F| Hermitian, so the result is real without leaving anything out.  The
    direction of a zero coefficient is 1.

    Args:
        planes: float32 or float64 tensor of shape (batch, channels, height, width).
        amplitudes: R, of the same dtype, (batch, channels or 1, height, width//2 + 1), even.
        keep_phase: True stops at |F| + R = 0; otherwise a coefficient with |F| + R < 0 turns by
            half a turn.

    Returns:
        Tensor of the shape and dtype of the planes.
    """
    width = planes.shape[-1]
    # Rounding noise need not be Hermitian, but has a direction as well.
    spectrum = symmetrize_half_spectrum(rfft2_last(planes), width)
    magnitude = ops.absolute(spectrum)
    if keep_phase:
        # Not `ops.maximum`, which rounds float64 to float32 on PyTorch.
        amplitudes = ops.where(amplitudes < -magnitude, -magnitude, amplitudes)
    empty = magnitude < _TINY
    ratio = amplitudes / ops.where(empty, ops.ones_like(magnitude), magnitude)
    zeros = ops.where(empty, amplitudes, ops.zeros_like(magnitude))
    noise = ops.cast(ratio, spectrum.dtype) * spectrum + ops.cast(zeros, spectrum.dtype)
    return irfft2_last(noise, width, assume_hermitian=True)
