"""Real matrices of the discrete Fourier transform, float64, computed once for each size."""

import functools
from typing import Any

import numpy as np

from spectral_keras.ops.validation import check_choice, check_positive_int

__all__ = ["cosines", "dft_matrices", "interleaved_dft", "real_basis", "sines"]


def _read_only(array):
    # Cached arrays are shared: writing into one would change every later result.
    array.flags.writeable = False
    return array


def cosines(turns: Any, period: int) -> np.ndarray:
    """cos(2 pi turns / period) of an integer array, exact where the cosine is 0 or +-1.

    The argument is reduced as an integer and folded into the first octant, so the error does not
    grow with the angle and entries that are equal by symmetry are equal to the last bit.
    """
    period4 = 4 * period
    turns4 = (4 * np.asarray(turns, dtype=np.int64)) % period4
    turns4 = np.minimum(turns4, period4 - turns4)  # cos is even: now within [0, half a turn]
    negative = turns4 > period
    turns4 = np.where(negative, 2 * period - turns4, turns4)  # within a quarter turn
    # Near a quarter turn the sine of the remainder is the accurate form.
    small = np.cos(2 * np.pi * turns4 / period4)
    large = np.sin(2 * np.pi * (period - turns4) / period4)
    value = np.where(2 * turns4 <= period, small, large)
    return np.where(negative, -value, value)


def sines(turns: Any, period: int) -> np.ndarray:
    """sin(2 pi turns / period) of an integer array, as `cosines`."""
    return cosines(4 * np.asarray(turns, dtype=np.int64) - period, 4 * period)


def dft_matrices(n: int, norm: str = "ortho") -> tuple[np.ndarray, np.ndarray]:
    """The DFT of length n as two real matrices.

    F x = cos @ x - i * (sin @ x), with row k the frequency of unshifted index k.

    Args:
        n: length.
        norm: "ortho" (unitary, 1/sqrt(n)), "backward" (no factor) or "forward" (1/n).

    Returns:
        (cos, sin), read-only float64 arrays of shape (n, n).

    Example:

    >>> import numpy as np
    >>> from spectral_keras.ops import dft_matrices
    >>> cos, sin = dft_matrices(5, norm="backward")
    >>> x = np.arange(5.0) ** 2
    >>> bool(np.allclose(cos @ x - 1j * (sin @ x), np.fft.fft(x)))
    True
    """
    n = check_positive_int("n", n)
    return _dft_matrices(n, check_choice("norm", norm, ("ortho", "backward", "forward")))


@functools.lru_cache(maxsize=128)
def _dft_matrices(n, norm):
    scale = {"ortho": 1 / np.sqrt(n), "backward": 1.0, "forward": 1 / n}[norm]
    turns = np.outer(np.arange(n), np.arange(n))
    return _read_only(cosines(turns, n) * scale), _read_only(sines(turns, n) * scale)


@functools.lru_cache(maxsize=128)
def real_basis(n: int) -> tuple[np.ndarray, np.ndarray]:
    """The orthonormal real Fourier basis of length n.

    Rows: the constant; then for k = 1, 2, ... below n/2 sqrt(2/n) cos(2 pi k m / n) and
    sqrt(2/n) sin(2 pi k m / n); last, for an even n, the Nyquist row (-1)^m / sqrt(n).

    Returns:
        (basis, frequency): read-only arrays, float64 of shape (n, n) with
        basis @ basis.T = identity, and the integer |frequency| of each row, shape (n,).

    Example:

    >>> from spectral_keras.ops import real_basis
    >>> basis, frequency = real_basis(4)
    >>> frequency.tolist(), basis[-1].tolist()
    ([0, 1, 1, 2], [0.5, -0.5, 0.5, -0.5])
    """
    n = check_positive_int("n", n)
    m = np.arange(n)
    frequency = (m + 1) // 2
    turns = frequency[:, None] * m
    is_sine = (m % 2 == 0) & (m > 0)
    basis = np.where(is_sine[:, None], sines(turns, n), cosines(turns, n))
    alone = (frequency == 0) | (2 * frequency == n)
    basis *= np.sqrt(np.where(alone, 1 / n, 2 / n))[:, None]
    return _read_only(basis), _read_only(frequency)


def interleaved_dft(frequencies: Any, n: int) -> np.ndarray:
    """The DFT of complex columns whose rows alternate between real and imaginary part.

    Args:
        frequencies: integers; all n of them give sqrt(n) times an orthogonal matrix.
        n: length.

    Returns:
        float64 array of shape (2 len(frequencies), 2 n), without a factor.
    """
    turns = np.outer(frequencies, np.arange(n))
    cos, sin = cosines(turns, n), sines(turns, n)
    rows = np.stack([np.stack([cos, sin], -1), np.stack([-sin, cos], -1)], 1)
    return rows.reshape(2 * len(turns), 2 * n)
