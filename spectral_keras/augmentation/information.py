"""How much of an image's information lies in a band of frequencies (arXiv 1911.12044, 3.3).

The amplitude of natural images falls like f(s) = amplitude / (1 + s) with the radius s, so a
coefficient takes about V(s) = log2(beta pi f(s)^2) bits.  The paper chose its five noise bands so
that each holds about a fifth of them: on its 40 x 40 pixels `coverage_degree` gives .183, .180,
.230, .210 and .197.

The paper's index set [-20, 20] has 41 members, but a DFT of 40 points has 40 (-20 is 20).  Height
and width 40 are the DFT; pass 41 for the set as printed, which gives .175, .172, .220, .202, .232.
"""

import math
from typing import Any

import numpy as np

from spectral_keras.ops.filters import squared_radius
from spectral_keras.ops.validation import check_choice, check_number, check_positive_int

__all__ = [
    "DIFFERENCES",
    "coefficient_bits",
    "coverage_degree",
    "information_curve",
    "largest_radius",
]

# Section 3.3.  1600 = 40^2 is the largest |F| of a 40 x 40 image in [0, 1].
AMPLITUDE, BETA = 1600.0, 1.0
DIFFERENCES = ("backward", "forward")


def coefficient_bits(s: Any, *, amplitude: Any = AMPLITUDE, beta: Any = BETA) -> Any:
    """V(s) of equation (16): bits of a coefficient at radius s.

    Args:
        s: radius in cycles per image, number or array.
        amplitude: alpha of equation (15), > 0.
        beta: > 0.

    Returns:
        float64, as s.

    >>> from spectral_keras.augmentation.information import coefficient_bits
    >>> round(float(coefficient_bits(0)), 3)
    22.939
    """
    amplitude = check_number("amplitude", amplitude, low=0, low_open=True)
    beta = check_number("beta", beta, low=0, low_open=True)
    s = np.asarray(s, "float64")
    return np.log2(beta * np.pi * (amplitude / (1 + s)) ** 2)


def largest_radius(height: int, width: int) -> Any:
    """ceil(r_I): the radius of the corner of the spectrum, rounded up; 29 for 40 x 40."""
    square = (check_positive_int("height", height) // 2) ** 2
    square += (check_positive_int("width", width) // 2) ** 2
    root = math.isqrt(square)
    return root + (root**2 < square)


def information_curve(
    s: Any, height: int = 40, width: int = 40, *, amplitude: Any = AMPLITUDE, beta: Any = BETA
) -> np.ndarray:
    """H(s) of equation (17): the share of the bits within radius s.

    Args:
        s: radius in cycles per image, number or array.
        height, width: size of the spectrum.
        amplitude, beta: see `coefficient_bits`.

    Returns:
        float64, as s: from V(0) / sum V at s = 0 to 1 at the corner.

    Example:

    >>> from spectral_keras.augmentation import information_curve
    >>> information_curve([0, 5, 30]).round(3).tolist()
    [0.001, 0.063, 1.0]
    """
    square = squared_radius(height, width).ravel()
    bits = coefficient_bits(np.sqrt(square), amplitude=amplitude, beta=beta)
    order = np.argsort(square, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(bits[order])])
    # Integers against s^2: a root would put the circle itself on either side.
    inside = np.searchsorted(square[order], np.asarray(s, "float64") ** 2, side="right")
    return total[inside] / total[-1]


def coverage_degree(
    curve: Any,
    height: int = 40,
    width: int = 40,
    *,
    difference: Any = "backward",
    amplitude: Any = AMPLITUDE,
    beta: Any = BETA,
) -> Any:
    """C_v of equation (18): the share of the information that a mask curve covers.

        C_v(m) = sum over i = 0 ... ceil(r_I) of m(i) * H'[i]

    Args:
        curve: function of an array of radii.
        height, width: size of the spectrum.
        difference: how H', "the first order difference", is read: "backward", H'[i] = H(i) -
            H(i - 1) with H'[0] = H(0), has a term for every i of equation (18), the share at that
            distance; "forward", H'[i] = H(i + 1) - H(i), lacks the last.
        amplitude, beta: see `coefficient_bits`.

    Returns:
        float.

    Example:

    >>> from spectral_keras.augmentation.information import coverage_degree
    >>> round(coverage_degree(lambda s: s <= 9), 4)
    0.1831
    """
    check_choice("difference", difference, DIFFERENCES)
    radii = np.arange(largest_radius(height, width) + 1)
    shares = information_curve(radii, height, width, amplitude=amplitude, beta=beta)
    if difference == "backward":
        steps = np.diff(shares, prepend=0.0)
    else:
        steps, radii = np.diff(shares), radii[:-1]
    return float(np.sum(np.asarray(curve(radii), "float64") * steps))
