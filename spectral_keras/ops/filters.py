"""Band masks for 2-D spectra.

A band is a float64 numpy array of shape (height, width) of zeros and ones in unshifted order (DC
at [0, 0]), for even and odd, square and other sizes; multiply a spectrum with it.
`np.fft.fftshift` turns it for looking at.

Frequencies are integers in cycles per image height and cycles per image width, the Nyquist
frequency of an even size n as n/2.  Every mask is even, mask[-k] = mask[k], so that a filtered
real image is real.
"""

import numpy as np

from spectral_keras.ops.validation import check_number, check_positive_int

__all__ = ["radial_band", "squared_radius"]


def _magnitudes(n):
    """|frequency| of each index: 0 1 2 3 3 2 1 for n = 7, 0 1 2 3 4 3 2 1 for n = 8."""
    index = np.arange(check_positive_int("size", n))
    return np.minimum(index, n - index)


def _check_interval(low, high):
    low = check_number("low", low, low=0)
    # inf is fine for the upper end: everything from `low` on.
    high = np.inf if high is None or high == np.inf else check_number("high", high, low=0)
    if high < low:
        raise ValueError(f"`high` must be at least `low`. Received: low={low}, high={high}")
    return low, high


def squared_radius(height: int, width: int) -> np.ndarray:
    """ky^2 + kx^2 of every frequency: exact integers, int64 (height, width).

    Compare radii by their squares: with floating point roots, frequencies that lie on a circle
    fall on either side of it.
    """
    return _magnitudes(height)[:, None] ** 2 + _magnitudes(width)[None, :] ** 2


def radial_band(height: int, width: int, low: float, high: float | None = None) -> np.ndarray:
    """Ones where low <= radius < high; bands that share an edge tile the plane.

    Args:
        height, width: size of the spectrum.
        low: inner radius in cycles per image, inclusive.
        high: outer radius, exclusive; None for no upper end.

    Example:

    >>> from spectral_keras.ops import radial_band
    >>> radial_band(4, 5, 1, 1.4).astype(int)
    array([[0, 1, 0, 0, 1],
           [1, 0, 0, 0, 0],
           [0, 0, 0, 0, 0],
           [1, 0, 0, 0, 0]])
    """
    low, high = _check_interval(low, high)
    square = squared_radius(height, width)
    return ((square >= low**2) & (square < high**2)).astype("float64")
