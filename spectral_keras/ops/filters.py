"""Low-pass and band masks for 2-D spectra.

Every function returns a float64 numpy array of shape (height, width) of zeros and ones in
unshifted order (DC at [0, 0]), for even and odd, square and other sizes; multiply a spectrum
with it.  `np.fft.fftshift` turns it for looking at.

Frequencies are integers in cycles per image height and cycles per image width, the Nyquist
frequency of an even size n as n/2.  Every mask is even, mask[-k] = mask[k], so that a filtered
real image is real.
"""

from collections.abc import Sequence

import numpy as np

from spectral_keras.ops.validation import check_number, check_positive_int, check_size_pair

__all__ = [
    "radial_band",
    "radial_lowpass",
    "rectangular_band",
    "rectangular_lowpass",
    "squared_radius",
]


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


def radial_lowpass(height: int, width: int, cutoff: float) -> np.ndarray:
    """Ones where the radius sqrt(ky^2 + kx^2) is at most `cutoff`.

    Args:
        height, width: size of the spectrum.
        cutoff: radius in cycles per image, >= 0; it belongs to the pass band.

    Example:

    >>> from spectral_keras.ops.filters import radial_lowpass
    >>> radial_lowpass(4, 5, 1).astype(int)
    array([[1, 1, 0, 0, 1],
           [1, 0, 0, 0, 0],
           [0, 0, 0, 0, 0],
           [1, 0, 0, 0, 0]])
    """
    cutoff = check_number("cutoff", cutoff, low=0)
    return (squared_radius(height, width) <= cutoff**2).astype("float64")


def radial_band(height: int, width: int, low: float, high: float | None = None) -> np.ndarray:
    """Ones where low <= radius < high; disjoint bands that share an edge tile the plane.

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


def rectangular_lowpass(height: int, width: int, sides: int | Sequence[int]) -> np.ndarray:
    """Ones in the central rectangle |ky| < rows/2, |kx| < columns/2.

    For odd sides it is the centred rectangle of exactly that size.  A centred rectangle of an
    even side is not even, because it holds -side/2 without side/2: the frequencies +-side/2
    are left out, and sides 2m and 2m - 1 keep the same 2m - 1 rows.  Side n, the whole axis, keeps
    everything but the Nyquist frequency of an even n; n + 1 keeps that too.

    Args:
        height, width: size of the spectrum.
        sides: one integer of at least 1 (a square), or a pair (rows, columns).

    Example:

    >>> from spectral_keras.ops.filters import rectangular_lowpass
    >>> rectangular_lowpass(5, 6, (3, 5)).astype(int)
    array([[1, 1, 1, 0, 1, 1],
           [1, 1, 1, 0, 1, 1],
           [0, 0, 0, 0, 0, 0],
           [0, 0, 0, 0, 0, 0],
           [1, 1, 1, 0, 1, 1]])
    """
    rows, columns = check_size_pair("sides", sides)
    keep_row = 2 * _magnitudes(height) < rows
    keep_column = 2 * _magnitudes(width) < columns
    return (keep_row[:, None] & keep_column[None, :]).astype("float64")


def rectangular_band(height: int, width: int, low: float, high: float | None = None) -> np.ndarray:
    """Ones in the square ring low <= max(|ky|, |kx|) < high.

    Args:
        height, width: size of the spectrum.
        low: inner half side in cycles per image, inclusive.
        high: outer half side, exclusive; None for no upper end.

    Example:

    >>> from spectral_keras.ops import rectangular_band
    >>> rectangular_band(4, 5, 1, 1.4).astype(int)
    array([[0, 1, 0, 0, 1],
           [1, 1, 0, 0, 1],
           [0, 0, 0, 0, 0],
           [1, 1, 0, 0, 1]])
    """
    low, high = _check_interval(low, high)
    largest = np.maximum(_magnitudes(height)[:, None], _magnitudes(width)[None, :])
    return ((largest >= low) & (largest < high)).astype("float64")
