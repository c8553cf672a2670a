"""Mask curves on the radius of a frequency, and the mask matrices that they give.

After Jia, Bao and Ma, "Exploring Frequency Domain Interpretation of Convolutional Neural Networks"
(arXiv 1911.12044), sections 3.1 to 3.3.  Curves are functions of s >= 0 on arrays; masks are
float64 numpy arrays in unshifted order (DC at [0, 0]) and even, mask[-k] = mask[k].

s is the radius sqrt(ky^2 + kx^2) in cycles per image, as in the paper, on images of 32 to 40
pixels: the paper's images and the same with a border of 4.  On other sizes it is scaled, see
`scaled_radius`.

    s          0     2     3     4     8     9    10    11   13    14    15    16    17   18
    low        1     1     1     1     1     1  .667  .333    0     0     0     0     0    0
    medium     1  .667  .333     0  .333  .667     1     1    1     1     1  .667  .333    0
    high       1  .667  .333     0     0     0     0     0    0  .333  .667     1     1    1
    printed    2 1.667 1.333     1     1     1     1     1    1  .667  .333     0     0    0

The last row is the high-pass as equation (4) prints it: a low-pass that doubles the mean.
"""

from typing import Any

import numpy as np

from spectral_keras.ops.frequencies import signed_frequencies
from spectral_keras.ops.validation import check_choice, check_positive_int

__all__ = [
    "BANDS",
    "LARGEST_NOISE_SIZE",
    "NOISE_BANDS",
    "VARIANTS",
    "check_reference_size",
    "high_curve",
    "hill_curve",
    "low_curve",
    "medium_curve",
    "noise_curve",
    "noise_masks",
    "scaled_radius",
    "step_curve",
    "suppression_masks",
]

BANDS = ("low", "medium", "high")
VARIANTS = ("consistent", "printed")

# (a, b) of the curves m_0 ... m_4 of section 3.3.
NOISE_BANDS = ((0, 9), (10, 13), (14, 17), (18, 20), (21, 29))

# Sides, in pixels, on which radii are cycles per image: a CIFAR image bare and padded by 4.
_PAPER_SIZES = (32, 40)

# The noise bands end at radius 29, and the corner of a spectrum of this side is within it.
LARGEST_NOISE_SIZE = 41


def step_curve(s: Any) -> np.ndarray:
    """Equation (2): 1 up to s = 0, down to 0 at s = 3."""
    return np.clip(1 - np.asarray(s, "float64") / 3, 0, 1)


def hill_curve(s: Any) -> np.ndarray:
    """Equation (3): 0 up to s = 0, up to 1 on [3, 8], down to 0 at s = 11."""
    s = np.asarray(s, "float64")
    return np.clip(np.minimum(s / 3, (11 - s) / 3), 0, 1)


def low_curve(s: Any) -> np.ndarray:
    """m_L of equation (4): 1 up to 9, 0 from 12."""
    s = np.asarray(s, "float64")
    return step_curve(s - 1) + hill_curve(s - 1)


def medium_curve(s: Any) -> np.ndarray:
    """m_M of equation (4): 1 up to 1, 0 on [4, 7], 1 on [10, 15], 0 from 18."""
    s = np.asarray(s, "float64")
    return step_curve(s - 1) + hill_curve(s - 7)


def high_curve(s: Any, variant: str = "consistent") -> np.ndarray:
    """m_H of equation (4), corrected: 1 up to 1, 0 on [4, 13], 1 from 16.

    Args:
        s: radius, number or array.
        variant: "consistent" for m_step(s - 1) + 1 - m_step(s - 13), the high-pass that the text
            and figure 3 of the paper show; "printed" for m_step(s - 1) + m_step(s - 13), which is
            2 at the mean and 0 from 16 on.
    """
    check_choice("variant", variant, VARIANTS)
    s = np.asarray(s, "float64")
    last = step_curve(s - 13)
    return step_curve(s - 1) + (last if variant == "printed" else 1 - last)


def noise_curve(s: Any, band: Any) -> np.ndarray:
    """m_a,b of equation (13): 1 on [a, b], with a ramp of width 1 on either side.

    Neighbours cross-fade, so that the five curves add up to 1 on [0, 29].

    Args:
        s: radius, number or array.
        band: 0 ... 4, an index of `NOISE_BANDS`.
    """
    low, high = NOISE_BANDS[check_choice("band", band, tuple(range(len(NOISE_BANDS))))]
    s = np.asarray(s, "float64")
    return np.clip(np.minimum(s - low + 1, high - s + 1), 0, 1)


def check_reference_size(value: Any, maximum: int | None = None) -> int | None:
    """None, or a positive integer of at most `maximum`."""
    if value is None:
        return None
    value = check_positive_int("reference_size", value)
    if maximum is not None and value > maximum:
        raise ValueError(
            f"`reference_size` must be at most {maximum}. Received: reference_size={value}"
        )
    return value


def scaled_radius(height: int, width: int, reference_size: int | None = None) -> np.ndarray:
    """Radius s of every frequency, in cycles per reference image.

        s(ky, kx) = sqrt((ky n_y / height)^2 + (kx n_x / width)^2)

    so a curve means the same wave lengths in relation to the pixel on images of any size.

    Args:
        height, width: size of the image.
        reference_size: n_y = n_x.  None takes for each axis the one of 32 ... 40 that is nearest
            to its length: s is the plain radius, as in the paper, on images of 32 to 40 pixels,
            larger ones count as 40 and smaller ones as 32.

    Returns:
        float64 numpy array of shape (height, width), unshifted order.

    Example:

    >>> from spectral_keras.ops.mask_curves import scaled_radius
    >>> [float(scaled_radius(n, n)[3, 4]) for n in (16, 32, 40, 80)]
    [10.0, 5.0, 5.0, 2.5]
    """
    reference_size = check_reference_size(reference_size)
    squares = []
    for n in (height, width):
        reference = reference_size or min(max(n, _PAPER_SIZES[0]), _PAPER_SIZES[1])
        squares.append((signed_frequencies(n) * (reference / n)) ** 2)
    return np.sqrt(squares[0][:, None] + squares[1][None, :])


def suppression_masks(
    height: int, width: int, *, variant: str = "consistent", reference_size: int | None = None
) -> np.ndarray:
    """The masks M_L, M_M and M_H of power suppression.

    Args:
        height, width: size of the spectrum.
        variant: of the high-pass, see `high_curve`.
        reference_size: see `scaled_radius`.

    Returns:
        float64 numpy array of shape (3, height, width), in the order of `BANDS`.
    """
    s = scaled_radius(height, width, reference_size)
    return np.stack([low_curve(s), medium_curve(s), high_curve(s, variant)])


def noise_masks(height: int, width: int, *, reference_size: int | None = None) -> np.ndarray:
    """The masks M_0 ... M_4 of noise in the frequency domain; they add up to 1.

    Args:
        height, width: size of the spectrum.
        reference_size: see `scaled_radius`; at most 41, where the last band ends.

    Returns:
        float64 numpy array of shape (5, height, width).
    """
    s = scaled_radius(height, width, check_reference_size(reference_size, LARGEST_NOISE_SIZE))
    return np.stack([noise_curve(s, band) for band in range(len(NOISE_BANDS))])
