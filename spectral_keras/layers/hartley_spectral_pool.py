"""Pooling by truncation of the Hartley spectrum."""

from collections.abc import Sequence
from typing import Any

import keras

from spectral_keras.layers.spectral_pool import SpectralPool

__all__ = ["HartleySpectralPool"]


@keras.saving.register_keras_serializable(package="spectral_keras")
class HartleySpectralPool(SpectralPool):
    """Shrinks images by keeping the central part of their Hartley spectrum.

    H = Re F - Im F is real, and its own inverse up to a factor (Zhang and Ma 2020, arXiv
    1810.04028).  To an odd size the result is that of `SpectralPool`: the frequencies are the same.
    To an even size the published crop keeps -n/2 and leaves out n/2, and as H mixes the two, a
    mirrored image of what lies at the Nyquist frequencies remains: `SpectralPool` has none.

    Args:
        output_size, scale: as in `SpectralPool`.
        nyquist: "hartley", the published crop.  Another rule makes the layer a `SpectralPool`.
        **kwargs: the other arguments of `SpectralPool`.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.layers import HartleySpectralPool
    >>> x = np.arange(16.0, dtype="float32").reshape(1, 4, 4, 1)
    >>> np.asarray(HartleySpectralPool(2)(x))[0, :, :, 0].round(4).tolist()
    [[7.5, 7.5], [7.5, 7.5]]
    """

    def __init__(
        self,
        output_size: int | Sequence[int] | None = None,
        *,
        nyquist: str = "hartley",
        **kwargs: Any,
    ) -> None:
        super().__init__(output_size, nyquist=nyquist, **kwargs)
