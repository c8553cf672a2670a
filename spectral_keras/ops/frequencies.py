"""Where a frequency sits: the one place that decides odd and even.

Inside the library spectra are in the unshifted order of the FFT; people look at centred ones
(`fftshift`).  Frequencies of the indices, as absolute values:

    n = 7, unshifted   [0 1 2 3 3 2 1]      centred   [3 2 1 0 1 2 3]
    n = 8, unshifted   [0 1 2 3 4 3 2 1]    centred   [4 3 2 1 0 1 2 3]

The constant (DC) is at index 0 unshifted and at n // 2 centred.  An odd n has no Nyquist
frequency; for an even n it is a single bin, at index n / 2 unshifted and at index 0 centred, and
it stands for +n/2 and -n/2 at once.  Here it counts as -n/2, as in `numpy.fft.fftfreq`.
"""

import math

import numpy as np

from spectral_keras.ops.validation import check_positive_int

__all__ = [
    "ROUNDING",
    "ceil_of_fraction",
    "centre_index",
    "floor_of_fraction",
    "frequency_to_centered_index",
    "frequency_to_index",
    "signed_frequencies",
]

# A product such as 0.29 * 100 misses its integer by a few units in the last place of a float64,
# or of a float32 where the fraction came from one.
ROUNDING = 1e-7


def signed_frequencies(n: int) -> np.ndarray:
    """Signed frequency of each index of a DFT of length n, unshifted, as an integer array.

    >>> from spectral_keras.ops.frequencies import signed_frequencies
    >>> signed_frequencies(7)
    array([ 0,  1,  2,  3, -3, -2, -1])
    >>> signed_frequencies(8)
    array([ 0,  1,  2,  3, -4, -3, -2, -1])
    """
    n = check_positive_int("n", n)
    index = np.arange(n)
    return np.where(index < (n + 1) // 2, index, index - n)


def centre_index(n: int) -> int:
    """Index of the constant (DC) in a centred spectrum of length n.

    Example:

    >>> from spectral_keras.ops import centre_index
    >>> centre_index(8), centre_index(7)
    (4, 3)
    """
    return check_positive_int("n", n) // 2


def frequency_to_index(frequency: int, n: int) -> int:
    """Unshifted index of a signed frequency; both signs of Nyquist are one index.

    >>> from spectral_keras.ops.frequencies import frequency_to_index
    >>> frequency_to_index(-2, 8), frequency_to_index(4, 8), frequency_to_index(-4, 8)
    (6, 4, 4)
    """
    n = check_positive_int("n", n)
    if abs(frequency) > n // 2:
        raise ValueError(
            f"`frequency` must be in {-(n // 2)}..{n // 2} for n={n}. "
            f"Received: frequency={frequency!r}"
        )
    return int(frequency) % n


def frequency_to_centered_index(frequency: int, n: int) -> int:
    """Index of a signed frequency in the centred spectrum; +n/2 of an even n is -n/2's bin.

    >>> from spectral_keras.ops.frequencies import frequency_to_centered_index
    >>> [frequency_to_centered_index(k, 8) for k in (-4, 0, 3, 4)]
    [0, 4, 7, 0]
    """
    return (frequency_to_index(frequency, n) + centre_index(n)) % n


def floor_of_fraction(fraction: float, n: int) -> int:
    """floor(fraction * n), safe against rounding, and at least 1.

    >>> from spectral_keras.ops.frequencies import floor_of_fraction
    >>> int(0.29 * 100), floor_of_fraction(0.29, 100)
    (28, 29)
    """
    value = fraction * n
    return max(1, math.floor(value + ROUNDING * max(1.0, value)))


def ceil_of_fraction(fraction: float, n: int) -> int:
    """ceil(fraction * n), safe against rounding, and at least 1.

    >>> import math
    >>> from spectral_keras.ops.frequencies import ceil_of_fraction
    >>> math.ceil(0.07 * 100), ceil_of_fraction(0.07, 100)
    (8, 7)
    """
    value = fraction * n
    return max(1, math.ceil(value - ROUNDING * max(1.0, value)))
