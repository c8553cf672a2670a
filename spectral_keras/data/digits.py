"""scikit-learn's scanned digits: 1797 real 8x8 images, embedded and available offline."""

from typing import Any

import numpy as np

from spectral_keras.data import arrays
from spectral_keras.data.errors import DataError
from spectral_keras.ops.resize import resampling_matrix

__all__ = ["load_digits"]

SIZE = 32


def load_digits() -> dict[str, Any]:
    """The digits enlarged to 32x32 by zero-padding their spectrum.

    The enlargement is the rule of ``spectral_resize`` (nyquist="average", norm="mean"):
    the 8x8 image is sampled on a four times finer grid from its own trigonometric
    interpolation, so the low frequencies are the scan and the high ones are zero
    (up to clipping to [0, 255] and rounding).
    """
    try:
        from sklearn.datasets import load_digits as load_scans
    except ImportError as error:
        raise DataError(
            "the data set 'digits' needs scikit-learn: pip install scikit-learn, or use an .npz"
        ) from error
    scans = load_scans()
    matrix = resampling_matrix(8, SIZE, nyquist="average", norm="mean")
    images = matrix @ (scans.images.astype(np.float64) * (255 / 16)) @ matrix.T
    # Values such as 127.5 come out of the product as 127.4999... on one machine and 127.5000...1
    # on another: without the first rounding the pixels would depend on it.
    images = np.clip(np.rint(np.round(images, 6)), 0, 255).astype(np.uint8)[..., np.newaxis]
    labels = scans.target.astype(np.int32)
    train, test = arrays.every_fifth(labels)
    return arrays.parts(
        (images[train], labels[train]),
        (images[test], labels[test]),
        [str(digit) for digit in range(10)],
        {"kind": "digits", "test": "each fifth image of every class"},
    )
