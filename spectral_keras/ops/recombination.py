"""The amplitudes of one image with the phases of another (arXiv 2108.08487)."""

from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

from spectral_keras.ops.augmix_views import OPERATIONS, SEVERITY, augmix_view
from spectral_keras.ops.fft import irfft2_last, rfft2_last
from spectral_keras.ops.symmetry import symmetrize_half_spectrum

__all__ = ["recombine", "recombine_pairs", "recombine_views"]

# An amplitude below has no direction.
_TINY = 1e-30


def recombine(amplitudes_of: Any, phases_of: Any) -> Any:
    """F^-1(|F(a)| F(b)/|F(b)|): images with the amplitudes of a and the phases of b.

    Amplitudes are even and phases odd, so the result is real without leaving anything out.  The
    direction of a zero coefficient is 1.

    Args:
        amplitudes_of: a, float32 or float64 tensor of shape (batch, channels, height, width).
        phases_of: b, of the same shape and dtype.

    Returns:
        Tensor of that shape and dtype.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.ops.recombination import recombine
    >>> x = np.random.default_rng(0).random((2, 3, 5, 6), dtype="float32")
    >>> bool(np.allclose(recombine(x, x), x, atol=1e-6))
    True
    """
    width = phases_of.shape[-1]
    # Rounding noise need not be Hermitian, but has a direction as well.
    own, other = (
        symmetrize_half_spectrum(rfft2_last(planes), width) for planes in (phases_of, amplitudes_of)
    )
    magnitude, wanted = ops.absolute(own), ops.absolute(other)
    empty = magnitude < _TINY
    ratio = ops.where(empty, 0.0, wanted) / ops.where(empty, 1.0, magnitude)
    zeros = ops.where(empty, wanted, 0.0)
    spectrum = ops.cast(ratio, own.dtype) * own + ops.cast(zeros, own.dtype)
    return irfft2_last(spectrum, width, assume_hermitian=True)


def recombine_pairs(
    images: Any, uniform: Callable[[], Any], probability: float, clip: Sequence[float] | None
) -> Any:
    """Images with the amplitudes of others of the batch (APR-P).

    Args:
        images: float32 or float64 tensor of shape (batch, height, width, channels).
        uniform: function that returns fresh numbers, uniform on [0, 1), of shape (batch,).
        probability: chance that an image is recombined.
        clip: (low, high), the range to which results are clipped, or None.

    Returns:
        Tensor of the shape and dtype of the images.
    """
    others = ops.take(images, ops.argsort(uniform()), axis=0)
    return _chosen(others, images, images, uniform() < probability, clip)


def recombine_views(
    images: Any,
    uniform: Callable[[], Any],
    probability: float,
    clip: Sequence[float] | None,
    view: Callable[[Any], Any] | None = None,
) -> Any:
    """Views of images, with the amplitudes or the phases of a second view (APR-S).

    Args:
        images, uniform, probability, clip: as of `recombine_pairs`.
        view: function of the images, None for AugMix's operations (`augmix_views`).

    Returns:
        Tensor of the shape and dtype of the images.
    """
    view = view or (lambda x: _random_operation(x, uniform))
    first = view(images)
    second = view(first)
    keeps = (uniform() < 0.5)[:, None, None, None]
    phases_of, amplitudes_of = ops.where(keeps, first, second), ops.where(keeps, second, first)
    return _chosen(amplitudes_of, phases_of, first, uniform() < probability, clip)


def _random_operation(images, uniform):
    operation = ops.cast(uniform() * len(OPERATIONS), "int32")
    level = 0.1 + (SEVERITY - 0.1) * uniform()
    return augmix_view(images, operation, level, ops.where(uniform() < 0.5, -1.0, 1.0))


def _chosen(amplitudes_of, phases_of, otherwise, chosen, clip):
    planes = (ops.transpose(x, (0, 3, 1, 2)) for x in (amplitudes_of, phases_of))
    mixed = ops.transpose(recombine(*planes), (0, 2, 3, 1))
    mixed = mixed if clip is None else ops.clip(mixed, *clip)
    return ops.where(chosen[:, None, None, None], mixed, otherwise)
