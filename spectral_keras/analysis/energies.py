"""Radial and angular energies of Fourier masks.

After Karantzas et al., "Understanding robustness and generalization of artificial neural networks
through Fourier masks" (2022), figures 4 and 7.  The energy of a mask M in a band b is the norm of
its part there, of the mask of unit norm:

    energy_b = || 1_b * M / ||M||_2 ||_2

Spectra are in unshifted order (DC at [0, 0]), frequencies in cycles per image height and width.
Which frequency belongs to which band is decided with integers.  With 64 bands on 128 x 128 the
radial edges sqrt(2) * i run through frequencies; with float64 edges 168 of them change their band
and 41 of the 64 bands their number.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from spectral_keras.ops.filters import squared_radius
from spectral_keras.ops.frequencies import signed_frequencies
from spectral_keras.ops.validation import check_positive_int

__all__ = [
    "angular_energies",
    "angular_wedges",
    "band_counts",
    "band_energies",
    "check_masks",
    "radial_bands",
    "radial_energies",
]

# Those of figures 4 and 7.
BANDS = 64

_OCTANTS = 8


def radial_bands(height: int, width: int, bands: int = BANDS) -> np.ndarray:
    """The radial band of each frequency: rings of equal width from DC to the corner.

    Ring i holds the radii i * w <= r < (i + 1) * w, w = sqrt((height/2)^2 + (width/2)^2) / bands,
    by the exact rule that i is the largest integer with
    i^2 * (height^2 + width^2) <= 4 * bands^2 * r^2; 2 * i^2 <= r^2 for 64 bands on 128 x 128.

    Args:
        height, width: size of the spectrum.
        bands: number of rings.

    Returns:
        int64 array (height, width) in unshifted order; -1 where no band is: at the one corner
        (-height/2, -width/2) of an even height and an even width, whose radius is the open end of
        the last ring, as in the paper's code.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.analysis.energies import radial_bands
    >>> np.fft.fftshift(radial_bands(4, 5, bands=3))
    array([[2, 2, 1, 2, 2],
           [2, 1, 0, 1, 2],
           [1, 0, 0, 0, 1],
           [2, 1, 0, 1, 2]])
    """
    bands = check_positive_int("bands", bands)
    square = squared_radius(height, width)
    # i^2 <= q holds for integers i if and only if i^2 <= floor(q).
    floors = 4 * bands**2 * square // (int(height) ** 2 + int(width) ** 2)
    index = np.searchsorted(np.arange(bands + 1) ** 2, floors, side="right") - 1
    return np.where(index == bands, -1, index)


def angular_wedges(height: int, width: int, wedges: int = BANDS) -> np.ndarray:
    """The angular wedge of each frequency: equal angles, counter-clockwise from +x.

    Angles are those seen in the centred spectrum shown as an image, row 0 on top: atan2(-ky, kx).
    Wedge i holds i * 360 / wedges <= angle < (i + 1) * 360 / wedges degrees.  A frequency is a
    pair of integers, so it can lie on a border only at multiples of 45 degrees, where the tangent
    is rational; those are decided by the signs and the order of |kx| and |ky|, the others by an
    angle within their octant, equal for mirrored frequencies.

    Every frequency but DC is in exactly one wedge.  With an even number of wedges k and -k are in
    opposite wedges, unless one of them stands on a Nyquist line, whose mirror image is the line
    itself.  The paper's code paints polygons instead: with 64 wedges on 128 x 128, DC lies in
    every other wedge, the 318 frequencies on a border in the wedge before, and all others as here.

    Args:
        height, width: size of the spectrum.
        wedges: number of wedges.

    Returns:
        int64 array (height, width) in unshifted order; -1 at DC.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.analysis.energies import angular_wedges
    >>> np.fft.fftshift(angular_wedges(5, 5, wedges=8))
    array([[ 3,  2,  2,  1,  1],
           [ 3,  3,  2,  1,  0],
           [ 4,  4, -1,  0,  0],
           [ 4,  5,  6,  7,  7],
           [ 5,  5,  6,  6,  7]])
    """
    wedges = check_positive_int("wedges", wedges)
    x = np.broadcast_to(signed_frequencies(width)[None, :], (height, width))
    y = np.broadcast_to(-signed_frequencies(height)[:, None], (height, width))
    octant, long, short = _octants(x, y)
    # In odd octants the short side shrinks as the angle grows.
    part = np.arctan2(short, long) * wedges / (2 * np.pi)
    at_border = (short == 0) | ((octant % 2 == 1) & (short == long))
    inside = np.where(
        octant % 2 == 0,
        octant * wedges / _OCTANTS + part,
        (octant + 1) * wedges / _OCTANTS - part,
    )
    index = np.where(at_border, octant * wedges // _OCTANTS, np.floor(inside).astype("int64"))
    return np.where((x == 0) & (y == 0), -1, index)


def _octants(x, y):
    """Octant 0 ... 7 of integer directions, its lower border included, and max and min of |x|, |y|.

    Even octants start on an axis (short == 0), odd ones on a diagonal (short == long).
    """
    # Turn by quarters, exactly, until x > 0 and y >= 0.
    quarter = np.select(
        [(x > 0) & (y >= 0), (x <= 0) & (y > 0), (x < 0) & (y <= 0)], [0, 1, 2], default=3
    )
    x, y = (
        np.select([quarter == 0, quarter == 1, quarter == 2], [x, y, -x], default=-y),
        np.select([quarter == 0, quarter == 1, quarter == 2], [y, -x, -y], default=x),
    )
    return 2 * quarter + (y >= x), np.maximum(x, y), np.minimum(x, y)


def band_counts(index: ArrayLike) -> np.ndarray:
    """Number of frequencies in each band of `radial_bands` or `angular_wedges`.

    >>> from spectral_keras.analysis.energies import band_counts, radial_bands
    >>> band_counts(radial_bands(128, 128))[:8]
    array([  5,  16,  36,  40,  52,  72,  80, 100])
    """
    index = np.asarray(index)
    return np.bincount(index[index >= 0])


def band_energies(masks: ArrayLike, index: ArrayLike, bands: int) -> np.ndarray:
    """Energies of masks in the bands of a partition.

    Args:
        masks: real array (..., height, width), unshifted order.
        index: integers (height, width): the band of each frequency, -1 for none.
        bands: number of bands.

    Returns:
        float64 array (..., bands).  The squares of a mask's energies add up to 1 minus the share
        of the frequencies in no band.  A mask of zeros has no direction; its energies are 0.

    Raises:
        ValueError: for masks that are not finite or of another size.

    Example:

    >>> from spectral_keras.analysis import band_energies
    >>> band_energies([[1.0, 0.0], [0.0, 1.0]], [[0, 1], [1, 1]], 2).round(4).tolist()
    [0.7071, 0.7071]
    """
    masks = check_masks("masks", masks)
    index = np.asarray(index)
    bands = check_positive_int("bands", bands)
    if index.shape != masks.shape[-2:]:
        raise ValueError(
            f"`masks` must have the height and width {index.shape} of `index`. "
            f"Received: masks of shape {masks.shape}"
        )
    # Divided by the largest value first, squares neither overflow nor vanish.
    largest = np.abs(masks).max((-2, -1), keepdims=True)
    scaled = np.divide(masks, largest, out=np.zeros_like(masks), where=largest > 0)
    flat = (scaled**2).reshape(-1, index.size)
    # Frequencies in no band go to one more, that is cut off.
    labels = np.where(index < 0, bands, index).ravel()
    sums = np.stack([np.bincount(labels, weights=row, minlength=bands + 1) for row in flat])
    totals = flat.sum(1, keepdims=True)
    shares = np.divide(sums[:, :bands], totals, out=np.zeros((len(flat), bands)), where=totals > 0)
    return np.sqrt(shares).reshape(*masks.shape[:-2], bands)


def radial_energies(masks: ArrayLike, bands: int = BANDS) -> np.ndarray:
    """Energies of masks in the rings of `radial_bands`, lowest first.

    Args:
        masks: real array (..., height, width), unshifted order.
        bands: number of rings.

    Returns:
        float64 array (..., bands).

    Example:

    >>> import numpy as np
    >>> from spectral_keras.analysis.energies import radial_energies
    >>> radial_energies(np.ones((128, 128)))[:3].round(5)
    array([0.01747, 0.03125, 0.04688])
    """
    masks = check_masks("masks", masks)
    height, width = masks.shape[-2:]
    return band_energies(masks, radial_bands(height, width, bands), bands)


def angular_energies(masks: ArrayLike, wedges: int = BANDS) -> np.ndarray:
    """Energies of masks in the wedges of `angular_wedges`, counter-clockwise from +x.

    Args:
        masks: real array (..., height, width), unshifted order.
        wedges: number of wedges.

    Returns:
        float64 array (..., wedges).

    Example:

    >>> import numpy as np
    >>> from spectral_keras.analysis import angular_energies
    >>> angular_energies(np.ones((3, 8, 8)), wedges=4).shape
    (3, 4)
    """
    masks = check_masks("masks", masks)
    height, width = masks.shape[-2:]
    return band_energies(masks, angular_wedges(height, width, wedges), wedges)


def check_masks(name: str, masks: Any) -> np.ndarray:
    """`masks` as a finite and non-empty float64 array (..., height, width)."""
    try:
        masks = np.asarray(masks, "float64")
    except (TypeError, ValueError) as error:
        raise ValueError(f"`{name}` must be an array of real numbers. Received: {error}") from None
    if masks.ndim < 2 or 0 in masks.shape:
        raise ValueError(
            f"`{name}` must be a non-empty array of shape (..., height, width). "
            f"Received: shape {masks.shape}"
        )
    if not np.all(np.isfinite(masks)):
        raise ValueError(f"`{name}` must be finite. Received: NaN or infinity in {name}")
    return masks
